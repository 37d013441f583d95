"""How the Pulumi CLI, its plugins, the Python environment and the Docker engine get here.

`python3 -m toolchain setup` needs nothing but Python and is quick when there is nothing to do.

To move to another version: change it in `versions.py` and `requirements.in`; then
`python3 -m toolchain go get MODULE@VERSION` and `python3 -m toolchain go mod tidy` bring
`go/go.mod` along, and the tests in `tests/unit/toolchain` say whether everything agrees. The Go
programs' own tests run with `python3 -m toolchain go test ./cmd/... ./internal/...`.
"""
