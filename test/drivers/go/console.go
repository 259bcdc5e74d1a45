package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// readConsole reads pgbun's console by pgx in two of its modes, and prints what it has found; see console.test.ts.
func readConsole(ctx context.Context, url string) error {
	found := map[string]any{}
	for name, mode := range map[string]pgx.QueryExecMode{
		"pgx":                  pgx.QueryExecModeCacheStatement,
		"pgx, simple protocol": pgx.QueryExecModeSimpleProtocol,
	} {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		config.DefaultQueryExecMode = mode
		if found[name], err = readConsoleWith(ctx, config, mode); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}

func readConsoleWith(ctx context.Context, config *pgx.ConnConfig, mode pgx.QueryExecMode) (map[string]any, error) {
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer connection.Close(ctx)
	if err := connection.Ping(ctx); err != nil {
		return nil, err
	}
	rows, err := connection.Query(ctx, "SHOW POOLS")
	if err != nil {
		return nil, err
	}
	columns := len(rows.FieldDescriptions())
	rows.Close()
	var id int32
	var user, paused string
	for i := 0; i < 8; i++ {
		text := "SELECT id, user FROM clients WHERE user = $1 AND id > $2 ORDER BY id LIMIT $3"
		if err := connection.QueryRow(ctx, text, "postgres", int64(0), int64(1)).Scan(&id, &user); err != nil {
			return nil, err
		}
	}
	var count int64
	text := "SHOW STATS (total_query_count) WHERE database = 'pgbouncer'"
	if err := connection.QueryRow(ctx, text).Scan(&count); err != nil {
		return nil, err
	}
	var refused *pgconn.PgError
	_, err = connection.Exec(ctx, "SELECT nonsense")
	if !errors.As(err, &refused) {
		return nil, fmt.Errorf("no error, but %v", err)
	}
	if _, err := connection.Exec(ctx, "PAUSE"); err != nil {
		return nil, err
	}
	if err := connection.QueryRow(ctx, "SHOW STATE (value) WHERE key = 'paused'").Scan(&paused); err != nil {
		return nil, err
	}
	if _, err := connection.Exec(ctx, "RESUME"); err != nil {
		return nil, err
	}
	return map[string]any{
		"columns": columns, "user": user, "counts": count > 0, "error": refused.Code, "paused": paused,
	}, nil
}
