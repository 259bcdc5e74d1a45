package main

import (
	"context"
	"strings"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// GORM on pgx, with its own cache of prepared statements. Rows of the ledger are its models.
type gormDriver struct{ db *gorm.DB }

// Entry is a row of the ledger.
type Entry struct {
	Tag string `gorm:"primaryKey"`
}

// TableName is where GORM keeps entries.
func (Entry) TableName() string { return "ledger" }

func (driver *gormDriver) Open(_ context.Context, url string, size int) (err error) {
	quiet := logger.Default.LogMode(logger.Silent)
	driver.db, err = gorm.Open(postgres.Open(url), &gorm.Config{PrepareStmt: true, Logger: quiet})
	if err != nil {
		return err
	}
	pool, err := driver.db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return nil
}

func (driver *gormDriver) Close() {
	if pool, err := driver.db.DB(); err == nil {
		_ = pool.Close()
	}
}

func gormQuery(connection *gorm.DB) Query {
	return func(text string, values ...any) ([]Row, error) {
		// Without a session of its own, a statement would be told of the error of the one before.
		db := connection.Session(&gorm.Session{NewDB: true})
		switch {
		case strings.HasPrefix(text, "insert into ledger"):
			return nil, db.Create(&Entry{Tag: values[0].(string)}).Error
		case strings.HasPrefix(text, "select tag from ledger"):
			var entries []Entry
			err := db.Where("tag = ?", values[0]).Find(&entries).Error
			var rows []Row
			for _, entry := range entries {
				rows = append(rows, Row{{"tag", entry.Tag}})
			}
			return rows, err
		}
		// GORM numbers its own placeholders; each of ours is used once and in order.
		for _, placeholder := range []string{"$1", "$2"} {
			text = strings.Replace(text, placeholder, "?", 1)
		}
		found, err := db.Raw(text, values...).Rows()
		if err != nil {
			return nil, err
		}
		defer found.Close()
		names, err := found.Columns()
		if err != nil {
			return nil, err
		}
		var rows []Row
		for found.Next() {
			row := make(Row, len(names))
			cells := make([]any, len(names))
			for i, name := range names {
				row[i].Name = name
				cells[i] = &row[i].Value
			}
			if err := found.Scan(cells...); err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		return rows, found.Err()
	}
}

func (driver *gormDriver) Session(ctx context.Context, use func(Query) error) error {
	return driver.db.WithContext(ctx).Connection(func(tx *gorm.DB) error { return use(gormQuery(tx)) })
}

func (driver *gormDriver) Transaction(ctx context.Context, use func(Query) error) error {
	return driver.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return use(gormQuery(tx)) })
}

func (driver *gormDriver) More() []NamedStep { return nil }
