package main

import (
	"context"
	"fmt"
	"strings"
)

type statement struct {
	text   string
	values []any
}

type schemaChange struct {
	ddl   string
	texts []statement
}

var byID = statement{"select * from changing where id = $1", []any{1}}
var addN = statement{"insert into changing (id, n) values (2, $1)", []any{5}}

var schemaChanges = []schemaChange{
	{"alter table changing drop column b, add column c text default '555'", []statement{byID}},
	{"alter table changing add column d text default 'd'", []statement{byID}},
	{"alter table changing alter n type bigint", []statement{byID, {"select n from changing where id = $1", []any{1}}}},
	{"alter table changing alter n type real", []statement{addN}},
	{"alter table changing alter n type bigint", []statement{addN}},
	{"alter table changing rename column b to bb", []statement{byID}},
}

// changes has two connections run statements they know while a third changes the table below them; what the two are
// answered is written down, because it must be what a direct connection answers. See schema-changes.ts.
func changes(ctx context.Context, driver Driver, outcome *Outcome) error {
	note := func(line string) { outcome.Changes = append(outcome.Changes, line) }
	told := func(who string, query Query, what statement) error {
		rows, err := query(what.text, what.values...)
		if err != nil {
			state := sqlstateOf(err)
			if state == "" {
				// pgx's own words for a row that does not fit what it was told.
				state = err.Error()
			}
			note(who + ": " + state)
			return nil
		}
		var lines []string
		for _, row := range rows {
			var columns []string
			for _, column := range row {
				// Names and values: mixed up columns would show.
				columns = append(columns, fmt.Sprintf("%s=%v", column.Name, column.Value))
			}
			lines = append(lines, strings.Join(columns, ", "))
		}
		note(who + ": " + strings.Join(lines, "; "))
		return nil
	}

	return driver.Session(ctx, func(first Query) error {
		return driver.Session(ctx, func(second Query) error {
			return driver.Session(ctx, func(blocker Query) error {
				return driver.Session(ctx, func(owner Query) error {
					both := func(what statement, times int) error {
						for i := 0; i < times; i++ {
							blocked := func(texts ...string) func() error {
								return func() error { return runWhere(i%2 == 1, blocker, texts) }
							}
							err := all(
								// Whoever is in a transaction has one of the two servers, so that the others meet both.
								blocked("begin", "select 1 as one"),
								func() error { return told("first", first, what) },
								func() error { return told("second", second, what) },
								blocked("commit"),
							)
							if err != nil {
								return err
							}
						}
						return nil
					}
					return eachChange(owner, note, both)
				})
			})
		})
	})
}

func runWhere(wanted bool, query Query, texts []string) error {
	for _, text := range texts {
		if !wanted {
			break
		}
		if _, err := query(text); err != nil {
			return err
		}
	}
	return nil
}

func eachChange(owner Query, note func(string), both func(statement, int) error) error {
	for _, change := range schemaChanges {
		for _, text := range []string{
			"drop table if exists changing",
			"create table changing (id int, a text, b text, n int, at timestamp)",
			"insert into changing values (1, 'a', 'b', 7, '2024-01-02 03:04:05')",
		} {
			if _, err := owner(text); err != nil {
				return err
			}
		}
		for _, what := range change.texts {
			if err := both(what, 6); err != nil {
				return err
			}
		}
		if _, err := owner(change.ddl); err != nil {
			return err
		}
		note(change.ddl)
		for _, what := range change.texts {
			if err := both(what, 3); err != nil {
				return err
			}
		}
		rows, err := owner("select changing::text as row from changing order by 1")
		if err != nil {
			return err
		}
		for _, row := range rows {
			note(fmt.Sprint(row.Get("row")))
		}
	}
	return nil
}
