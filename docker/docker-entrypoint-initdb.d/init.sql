-- Run once, when the data directory of the PostgreSQL container is empty.
CREATE ROLE pgbun_user LOGIN PASSWORD 'pgbun_pass';
CREATE DATABASE pgbun_test OWNER pgbun_user;

\connect pgbun_test
SET ROLE pgbun_user;

CREATE TABLE greeting (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
INSERT INTO greeting (text) VALUES ('Hello from PostgreSQL, through pgbun.');
