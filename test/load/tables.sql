-- The tables of the load scripts (test/load): accounts between which money is moved, and entries that belong to one
-- client of one run each. May be run again. The sum of all balances is 1000 * 1000 after every transaction.

CREATE TABLE IF NOT EXISTS pgbun_load_account (
  id int PRIMARY KEY,
  balance bigint NOT NULL
);

INSERT INTO pgbun_load_account (id, balance)
SELECT id, 1000 FROM generate_series(1, 1000) AS id
ON CONFLICT (id) DO NOTHING;

CREATE TABLE IF NOT EXISTS pgbun_load_entry (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run text NOT NULL,
  client int NOT NULL,
  round int NOT NULL,
  note text NOT NULL
);

CREATE INDEX IF NOT EXISTS pgbun_load_entry_note ON pgbun_load_entry (run, note);
