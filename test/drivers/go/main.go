package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// deadline is the longest time one load may take. Only one that hangs gets there.
const deadline = 60 * time.Second

var drivers = map[string]Driver{"pgx": &pgxDriver{}, "gorm": &gormDriver{}}

func main() {
	var given struct {
		Target struct{ URL, Database string }
		Load   struct{ Workers, Rounds int }
	}
	if err := json.Unmarshal([]byte(os.Args[2]), &given); err != nil {
		fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if os.Args[1] == "console" {
		if err := readConsole(ctx, given.Target.URL); err != nil {
			fail(err)
		}
		return
	}
	driver := drivers[os.Args[1]]
	if err := driver.Open(ctx, given.Target.URL, given.Load.Workers); err != nil {
		fail(err)
	}
	outcome, err := run(ctx, driver, given.Target.Database, given.Load.Workers, given.Load.Rounds)
	if err != nil {
		fail(err)
	}
	driver.Close()
	text, err := json.Marshal(outcome)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func run(ctx context.Context, driver Driver, database string, workers, rounds int) (*Outcome, error) {
	outcome := &Outcome{MixUps: []string{}}
	steps := append(commonSteps(), driver.More()...)
	failures := make(chan error, workers)
	// Two who wait for a message would hold both servers of the pool.
	var listening sync.Mutex
	for i := 0; i < workers; i++ {
		work := &Work{worker: i, prefix: database, outcome: outcome}
		go func() { failures <- work.run(ctx, driver, steps, rounds, &listening) }()
	}
	for i := 0; i < workers; i++ {
		if err := <-failures; err != nil {
			return nil, err
		}
	}
	for _, step := range steps {
		outcome.Steps = append(outcome.Steps, step.Name)
	}
	outcome.Steps = append(outcome.Steps, "changes")
	return outcome, changes(ctx, driver, outcome)
}

func (work *Work) run(ctx context.Context, driver Driver, steps []NamedStep, rounds int, listening *sync.Mutex) error {
	for round := 0; round < rounds; round++ {
		for i := range steps {
			step := steps[(work.worker+i)%len(steps)]
			work.doing = fmt.Sprintf("worker %d, round %d, %s", work.worker, round, step.Name)
			if step.Name == "listen" {
				listening.Lock()
			}
			err := step.Run(ctx, driver, work)
			if step.Name == "listen" {
				listening.Unlock()
			}
			if err != nil {
				return fmt.Errorf("%s failed: %w", work.doing, err)
			}
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
