-- The product's tables (images/backend/src/app/models.py), with what a real one has more of: text,
-- JSON, logs. Each row follows from its number, so every fill is the same. :units of about 100 MB.
--
-- Text comes from a pool of lines that is larger than any compressor's window: what repeats in a row
-- of this table repeats in real ones; what repeats by its making lies too far apart to be found.
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET maintenance_work_mem = '128MB'; -- VACUUM shares it, and /dev/shm has 256 MB

CREATE TABLE users (id bigint, email text NOT NULL, created_at timestamptz NOT NULL,
    password text NOT NULL, settings jsonb NOT NULL);
CREATE TABLE channels (id bigint, owner_id bigint NOT NULL, title text NOT NULL,
    created_at timestamptz NOT NULL);
CREATE TABLE videos (id bigint, channel_id bigint NOT NULL, title text NOT NULL,
    description text NOT NULL, metadata jsonb NOT NULL, thumbnail_url text,
    created_at timestamptz NOT NULL);
CREATE TABLE generation_jobs (id bigint, video_id bigint NOT NULL, status text NOT NULL,
    log text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE analytics (id bigint, video_id bigint NOT NULL, date timestamptz NOT NULL,
    views integer NOT NULL);
CREATE TABLE django_migrations (id serial PRIMARY KEY, app text, name text);
INSERT INTO django_migrations (app, name) VALUES ('app', '0001_initial');

-- 4,096 words, twenty to a line.
CREATE UNLOGGED TABLE lines (id int, line text);
DO $$
DECLARE
    words text[];
    digest text;
    line text;
BEGIN
    SELECT array_agg(translate(substr(md5(n::text), 1, 3 + n % 7), '0123456789', 'ghijklmnop')
        ORDER BY n) INTO words FROM generate_series(0, 4095) n;
    FOR number IN 0..399999 LOOP
        digest := md5(number::text) || md5(-number || 'x');
        line := '';
        FOR at IN 0..19 LOOP
            line := line || ' ' || words[1 + ('x' || substr(digest, 1 + at * 3, 3))::bit(12)::int];
        END LOOP;
        INSERT INTO lines VALUES (number, substr(line, 2));
    END LOOP;
END
$$;
ALTER TABLE lines ADD PRIMARY KEY (id);
ANALYZE lines;

INSERT INTO users
SELECT n, 'user' || n || '@example.org', timestamptz '2024-01-01Z' + n * interval '37 s',
    'pbkdf2_sha256$600000$' || encode(sha256(n::text::bytea), 'base64'),
    jsonb_build_object('locale', (ARRAY['en', 'de', 'fr', 'pt'])[1 + n % 4], 'plan', n % 3,
        'newsletter', n % 2 = 0, 'token', md5(n || 'token'))
FROM generate_series(1, 20000 * :units) n;

INSERT INTO channels
SELECT n, 1 + n::bigint * 7919 % (20000 * :units), initcap(substr(line, 1, 40)) || n,
    timestamptz '2024-02-01Z' + n * interval '53 s'
FROM generate_series(1, 4000 * :units) n JOIN lines ON lines.id = n::bigint * 6151 % 400000;

INSERT INTO videos
SELECT n, 1 + n::bigint * 104729 % (4000 * :units), initcap(substr(a.line, 1, 70)),
    a.line || '. ' || b.line || E'.\n' || c.line,
    jsonb_build_object('duration', 30 + n % 1800, 'codec', (ARRAY['h264', 'vp9', 'av1'])[1 + n % 3],
        'resolution', jsonb_build_array(1920, 1080), 'checksum', encode(sha256(n::text::bytea), 'hex'),
        'tags', to_jsonb(string_to_array(substr(b.line, 1, 50), ' ')),
        'prices', jsonb_build_object('cents', n * 31 % 9973, 'currency', 'USD')),
    'https://img.example.org/' || md5(n || 'thumbnail') || '.webp',
    timestamptz '2024-03-01Z' + n * interval '11 s'
FROM generate_series(1, 60000 * :units) n
    JOIN lines a ON a.id = n::bigint * 7919 % 400000
    JOIN lines b ON b.id = n::bigint * 104729 % 400000
    JOIN lines c ON c.id = n::bigint * 15485863 % 400000
ORDER BY n;

INSERT INTO generation_jobs
SELECT n, 1 + n::bigint * 15485863 % (60000 * :units),
    (ARRAY['done', 'done', 'done', 'failed'])[1 + n % 4],
    (SELECT string_agg(format('%s INFO worker-%s step %s of 8: %s, %s ms',
        timestamptz '2024-03-01Z' + n * interval '17 s' + step * interval '2.7 s', n % 12, step,
        (ARRAY['script written', 'voice rendered', 'scenes drawn', 'clips cut', 'music mixed',
            'titles set', 'video encoded', 'upload done'])[step], abs(hashint8(n * 8 + step)) % 9000),
        E'\n') FROM generate_series(1, 8) step),
    timestamptz '2024-03-01Z' + n * interval '17 s'
FROM generate_series(1, 25000 * :units) n;

INSERT INTO analytics
SELECT n, 1 + n::bigint * 7919 % (60000 * :units), timestamptz '2024-03-01Z' + n * interval '3 s',
    abs(hashint8(n)) % 100000
FROM generate_series(1, 150000 * :units) n;

DROP TABLE lines;
ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE channels ADD PRIMARY KEY (id), ADD FOREIGN KEY (owner_id) REFERENCES users;
ALTER TABLE videos ADD PRIMARY KEY (id), ADD FOREIGN KEY (channel_id) REFERENCES channels;
ALTER TABLE generation_jobs ADD PRIMARY KEY (id), ADD FOREIGN KEY (video_id) REFERENCES videos;
ALTER TABLE analytics ADD PRIMARY KEY (id), ADD FOREIGN KEY (video_id) REFERENCES videos;
CREATE INDEX ON channels (owner_id);
CREATE INDEX ON videos (channel_id, created_at);
CREATE INDEX ON generation_jobs (video_id);
CREATE INDEX ON analytics (video_id);
CREATE INDEX ON analytics (date);
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
