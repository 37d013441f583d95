// Reads a list of requests, answers how AWS would decide each: as JSON, by standard input and output.
import { json } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

async function decide(simulation) {
  const found = await runSimulation(simulation, {})
  if (found.resultType !== 'single') {
    return { error: JSON.stringify(found) }
  }
  return { result: found.overallResult, ignored: found.result.ignoredContextKeys ?? [] }
}

const requests = await json(process.stdin)
console.log(JSON.stringify(await Promise.all(requests.map(decide))))
