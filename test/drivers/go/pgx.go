package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgx as it is by default: it names every statement and keeps its description.
type pgxDriver struct{ pool *pgxpool.Pool }

func (driver *pgxDriver) Open(ctx context.Context, url string, size int) (err error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	config.MaxConns = int32(size)
	driver.pool, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

func (driver *pgxDriver) Close() { driver.pool.Close() }

type queryer interface {
	Query(ctx context.Context, text string, values ...any) (pgx.Rows, error)
}

func queryOn(ctx context.Context, connection queryer) Query {
	return func(text string, values ...any) ([]Row, error) {
		rows, err := connection.Query(ctx, text, values...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(from pgx.CollectableRow) (Row, error) {
			values, err := from.Values()
			if err != nil {
				return nil, err
			}
			row := make(Row, len(values))
			for i, field := range from.FieldDescriptions() {
				row[i] = Column{field.Name, values[i]}
			}
			return row, nil
		})
	}
}

func (driver *pgxDriver) Session(ctx context.Context, use func(Query) error) error {
	return driver.pool.AcquireFunc(ctx, func(connection *pgxpool.Conn) error {
		return use(queryOn(ctx, connection))
	})
}

func (driver *pgxDriver) Transaction(ctx context.Context, use func(Query) error) error {
	return pgx.BeginFunc(ctx, driver.pool, func(tx pgx.Tx) error {
		return use(queryOn(ctx, tx))
	})
}

func (driver *pgxDriver) More() []NamedStep {
	return []NamedStep{{"pipeline", driver.pipeline}, {"copy", driver.copy}, {"listen", driver.listen}}
}

// pipeline is pgx's Batch, all in one go.
func (driver *pgxDriver) pipeline(ctx context.Context, _ Driver, work *Work) error {
	batch := &pgx.Batch{}
	for i := 0; i < 30; i++ {
		tag := work.Tag()
		batch.Queue(fmt.Sprintf("select $1::text as tag, %d as n", i%5), tag).QueryRow(func(row pgx.Row) error {
			var got string
			var n int
			if err := row.Scan(&got, &n); err != nil {
				return err
			}
			work.Check(tag, got)
			return nil
		})
	}
	return driver.pool.SendBatch(ctx, batch).Close()
}

func (driver *pgxDriver) copy(ctx context.Context, _ Driver, work *Work) error {
	tag := work.Tag()
	rows := make([][]any, 200)
	var wanted strings.Builder
	for n := range rows {
		rows[n] = []any{tag, n}
		fmt.Fprintf(&wanted, "%s\t%d\n", tag, n)
	}
	copied, err := driver.pool.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"tag", "n"}, pgx.CopyFromRows(rows))
	if err != nil {
		return err
	}
	work.Check(200, copied)
	return driver.pool.AcquireFunc(ctx, func(connection *pgxpool.Conn) error {
		var out bytes.Buffer
		text := fmt.Sprintf("copy (select tag, n from copied where tag = '%s' order by n) to stdout", tag)
		if _, err := connection.Conn().PgConn().CopyTo(ctx, &out, text); err != nil {
			return err
		}
		work.Check(wanted.String(), out.String())
		return nil
	})
}

func (driver *pgxDriver) listen(ctx context.Context, _ Driver, work *Work) error {
	channel := work.Tag()
	return driver.pool.AcquireFunc(ctx, func(connection *pgxpool.Conn) error {
		if _, err := connection.Exec(ctx, "listen "+channel); err != nil {
			return err
		}
		for i := 0; i < 3; i++ {
			tag := work.Tag()
			if _, err := driver.pool.Exec(ctx, "select pg_notify($1, $2)", channel, tag); err != nil {
				return err
			}
			heard, err := connection.Conn().WaitForNotification(ctx)
			if err != nil {
				return err
			}
			work.Check(channel+" "+tag, heard.Channel+" "+heard.Payload)
		}
		_, err := connection.Exec(ctx, "unlisten "+channel)
		return err
	})
}
