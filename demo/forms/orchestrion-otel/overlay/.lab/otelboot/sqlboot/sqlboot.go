// Package sqlboot stands in for database/sql's two ways to open a database.
package sqlboot

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/XSAM/otelsql"
)

// options keep to one span per statement: what a person wants to see of a query, not the driver's housekeeping.
func options() otelsql.Option {
	return otelsql.WithSpanOptions(otelsql.SpanOptions{
		DisableErrSkip:       true,
		OmitConnResetSession: true,
		OmitConnPrepare:      true,
		OmitConnectorConnect: true,
		OmitRows:             true,
		SpanFilter:           isStatement,
	})
}

// isStatement leaves out the frame of a transaction: BEGIN and COMMIT say nothing that its statements do not.
func isStatement(_ context.Context, method otelsql.Method, _ string, _ []driver.NamedValue) bool {
	switch method {
	case otelsql.MethodConnBeginTx, otelsql.MethodTxCommit, otelsql.MethodTxRollback:
		return false
	}
	return true
}

// Open replaces database/sql.Open.
func Open(driverName, dataSourceName string) (*sql.DB, error) {
	return otelsql.Open(driverName, dataSourceName, options())
}

// OpenDB replaces database/sql.OpenDB.
func OpenDB(connector driver.Connector) *sql.DB { return otelsql.OpenDB(connector, options()) }
