// The load of the matrix for drivers of Go: what scenario.ts, common-steps.ts and schema-changes.ts are for Node. Every
// query selects a tag of its own, and the answer must carry exactly that tag.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// Outcome is what scenario.ts calls by this name.
type Outcome struct {
	Steps      []string `json:"steps"`
	Queries    int      `json:"queries"`
	MixUps     []string `json:"mixUps"`
	Committed  []string `json:"committed"`
	Increments int      `json:"increments"`
	Changes    []string `json:"changes"`

	lock sync.Mutex
}

// Column is one value with the name its column has for the driver.
type Column struct {
	Name  string
	Value any
}

// Row is in the order of its columns.
type Row []Column

// Get brings the value of a column, or nil.
func (row Row) Get(name string) any {
	for _, column := range row {
		if column.Name == name {
			return column.Value
		}
	}
	return nil
}

// Query runs a text with `$1`-style parameters.
type Query func(text string, values ...any) ([]Row, error)

// Driver is what each driver's file implements.
type Driver interface {
	Open(ctx context.Context, url string, size int) error
	Close()
	// Session runs `use` with all its queries on one connection.
	Session(ctx context.Context, use func(Query) error) error
	// Transaction is the driver's own: committed where `use` returns nil, rolled back where it returns an error.
	Transaction(ctx context.Context, use func(Query) error) error
	// More are the steps that only this driver has.
	More() []NamedStep
}

// Step does one thing of the load.
type Step func(ctx context.Context, driver Driver, work *Work) error

// NamedStep is a step with the name that scenario.ts has for it.
type NamedStep struct {
	Name string
	Run  Step
}

// Work is one worker's view of the load.
type Work struct {
	worker  int
	prefix  string
	count   int
	doing   string
	outcome *Outcome
}

// Tag brings a text that no other query of this run has.
func (work *Work) Tag() string {
	work.count++
	return fmt.Sprintf("%s_w%d_%d", work.prefix, work.worker, work.count)
}

// Check counts one query and compares what it brought with what it must have brought.
func (work *Work) Check(wanted, got any) {
	work.outcome.lock.Lock()
	defer work.outcome.lock.Unlock()
	work.outcome.Queries++
	if fmt.Sprint(wanted) != fmt.Sprint(got) {
		work.outcome.MixUps = append(work.outcome.MixUps, fmt.Sprintf("%s: wanted %v, got %v", work.doing, wanted, got))
	}
}

// CheckRow compares one column of the only row.
func (work *Work) CheckRow(wanted any, column string) func([]Row, error) error {
	return func(rows []Row, err error) error {
		if err != nil {
			return err
		}
		if len(rows) != 1 {
			work.Check(wanted, fmt.Sprintf("%d rows", len(rows)))
			return nil
		}
		work.Check(wanted, rows[0].Get(column))
		return nil
	}
}

// Fails counts one query that must fail with this SQLSTATE.
func (work *Work) Fails(sqlstate string, err error) error {
	if err == nil {
		work.Check("SQLSTATE "+sqlstate, "success")
		return nil
	}
	if state := sqlstateOf(err); state != sqlstate {
		return fmt.Errorf("SQLSTATE %s expected: %w", sqlstate, err)
	}
	work.Check(sqlstate, sqlstate)
	return nil
}

func (work *Work) committed(tag string) {
	work.outcome.lock.Lock()
	defer work.outcome.lock.Unlock()
	work.outcome.Committed = append(work.outcome.Committed, tag)
}

func sqlstateOf(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// all runs one after another until one fails.
func all(tasks ...func() error) error {
	for _, task := range tasks {
		if err := task(); err != nil {
			return err
		}
	}
	return nil
}
