package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
)

var errRollback = errors.New("to be rolled back")

// commonSteps are those that every driver can do with a session and a transaction.
func commonSteps() []NamedStep {
	return []NamedStep{
		{"queries", queries},
		{"prepared", prepared},
		{"transactions", transactions},
		{"settings", settings},
		{"temporary", temporary},
		{"locks", locks},
	}
}

// once runs one query wherever the driver's pool sends it.
func once(ctx context.Context, driver Driver) Query {
	return func(text string, values ...any) (rows []Row, err error) {
		err = driver.Session(ctx, func(query Query) error {
			var failed error
			rows, failed = query(text, values...)
			return failed
		})
		return rows, err
	}
}

func queries(ctx context.Context, driver Driver, work *Work) error {
	query := once(ctx, driver)
	for round := 0; round < 3; round++ {
		for n := 0; n < 3; n++ {
			tag := work.Tag()
			rows, err := query("select $1::text as tag, $2::int as n", tag, n)
			if err != nil {
				return err
			}
			work.Check(fmt.Sprint(tag, " ", n), fmt.Sprint(rows[0].Get("tag"), " ", rows[0].Get("n")))
		}
		tag := work.Tag()
		if err := work.CheckRow(tag, "tag")(query(fmt.Sprintf("select '%s' as tag", tag))); err != nil {
			return err
		}
		_, err := query("select 1 / $1::int as n", 0)
		if err := work.Fails("22012", err); err != nil {
			return err
		}
	}
	tag := work.Tag()
	rows, err := query("select $1::text || '-' || g as tag from generate_series(1, 300) as g", tag)
	if err != nil {
		return err
	}
	work.Check(300, len(rows))
	work.Check(tag+"-300", rows[299].Get("tag"))
	return nil
}

func prepared(ctx context.Context, driver Driver, work *Work) error {
	return driver.Session(ctx, func(query Query) error {
		for i := 0; i < 24; i++ {
			tag := work.Tag()
			text := fmt.Sprintf("select $1::text as tag, %d as n", i%3)
			if err := work.CheckRow(tag, "tag")(query(text, tag)); err != nil {
				return err
			}
		}
		return nil
	})
}

func transactions(ctx context.Context, driver Driver, work *Work) error {
	const insert, read = "insert into ledger values ($1)", "select tag from ledger where tag = $1"
	kept, undone := work.Tag(), work.Tag()
	err := driver.Transaction(ctx, func(query Query) error {
		if _, err := query(insert, kept); err != nil {
			return err
		}
		return work.CheckRow(kept, "tag")(query(read, kept))
	})
	if err != nil {
		return err
	}
	work.committed(kept)

	err = driver.Transaction(ctx, func(query Query) error {
		if _, err := query(insert, undone); err != nil {
			return err
		}
		if err := work.CheckRow(undone, "tag")(query(read, undone)); err != nil {
			return err
		}
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		return fmt.Errorf("a transaction that was to be rolled back: %w", err)
	}
	err = driver.Transaction(ctx, func(query Query) error {
		if _, err := query(insert, undone); err != nil {
			return err
		}
		_, err := query("select 1 / $1::int as n", 0)
		if err := work.Fails("22012", err); err != nil {
			return err
		}
		_, err = query(insert, undone)
		if err := work.Fails("25P02", err); err != nil {
			return err
		}
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		return fmt.Errorf("a transaction that failed: %w", err)
	}
	rows, err := once(ctx, driver)(read, undone)
	work.Check(0, len(rows))
	return err
}

func settings(ctx context.Context, driver Driver, work *Work) error {
	tenant, other := work.Tag(), work.Tag()
	return driver.Session(ctx, func(query Query) error {
		run := func(text string) func() error {
			return func() error { _, err := query(text); return err }
		}
		shows := func(wanted string) func() error {
			return func() error {
				return work.CheckRow(wanted, "tag")(query("select current_setting('app.tenant') as tag"))
			}
		}
		if _, err := query("select set_config('app.tenant', $1::text, false) as tag", tenant); err != nil {
			return err
		}
		return all(
			shows(tenant), shows(tenant), shows(tenant),
			run("begin"), run(fmt.Sprintf("set local app.tenant = '%s'", other)), shows(other), run("commit"),
			shows(tenant),
			run("begin"), run(fmt.Sprintf("set app.tenant = '%s'", other)), shows(other), run("rollback"),
			shows(tenant),
		)
	})
}

func temporary(ctx context.Context, driver Driver, work *Work) error {
	tags := []string{work.Tag(), work.Tag(), work.Tag()}
	sort.Strings(tags)
	return driver.Session(ctx, func(query Query) error {
		// The same name for all: another one's table would bring another one's tags.
		if _, err := query("create temporary table scratch (tag text)"); err != nil {
			return err
		}
		for _, tag := range tags {
			if _, err := query("insert into scratch values ($1)", tag); err != nil {
				return err
			}
		}
		for range tags {
			rows, err := query("select tag from scratch order by tag")
			if err != nil {
				return err
			}
			var found []string
			for _, row := range rows {
				found = append(found, fmt.Sprint(row.Get("tag")))
			}
			sort.Strings(found)
			work.Check(strings.Join(tags, " "), strings.Join(found, " "))
		}
		_, err := query("drop table scratch")
		return err
	})
}

func locks(ctx context.Context, driver Driver, work *Work) error {
	return driver.Session(ctx, func(query Query) error {
		if _, err := query("select pg_advisory_lock(7)::text as locked"); err != nil {
			return err
		}
		rows, err := query("select n from counter")
		if err != nil {
			return err
		}
		var value int
		if _, err := fmt.Sscan(fmt.Sprint(rows[0].Get("n")), &value); err != nil {
			return err
		}
		// Read there and written here, so that two at once would lose one of the two.
		if _, err := query("update counter set n = $1::int", value+1); err != nil {
			return err
		}
		work.outcome.lock.Lock()
		work.outcome.Increments++
		work.outcome.lock.Unlock()
		return work.CheckRow(true, "unlocked")(query("select pg_advisory_unlock(7) as unlocked"))
	})
}
