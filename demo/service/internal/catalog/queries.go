package catalog

import (
	"context"

	"shop.example/shop/internal/store"
)

const (
	schema = `DROP TABLE IF EXISTS sales; DROP TABLE IF EXISTS events; DROP TABLE IF EXISTS venues;
CREATE TABLE venues (id INTEGER PRIMARY KEY, city TEXT NOT NULL, seats INTEGER NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, title TEXT NOT NULL, topic TEXT NOT NULL,
	venue_id INTEGER NOT NULL, day INTEGER NOT NULL);
CREATE INDEX events_by_day ON events (day, id);
CREATE TABLE sales (event_id INTEGER NOT NULL, day INTEGER NOT NULL, tickets INTEGER NOT NULL)`
	fillVenues = `INSERT INTO venues SELECT value ->> 'id', value ->> 'city', value ->> 'seats' FROM json_each(?)`
	fillEvents = `INSERT INTO events SELECT value ->> 'id', value ->> 'title', value ->> 'topic',
	value ->> 'venue_id', value ->> 'day' FROM json_each(?)`
	fillSales = `INSERT INTO sales SELECT value ->> 'event_id', value ->> 'day', value ->> 'tickets' FROM json_each(?)`

	fromEvents    = ` FROM events JOIN venues ON venues.id = events.venue_id `
	selectEvents  = `SELECT events.id, events.title, events.topic, venues.city, events.day` + fromEvents
	whereMatch    = `WHERE events.title LIKE ? ESCAPE '\' OR events.topic LIKE ? ESCAPE '\' ORDER BY events.id LIMIT ?`
	selectEvent   = selectEvents + `WHERE events.id = ?`
	selectPage    = selectEvents + `ORDER BY events.day, events.id LIMIT ? OFFSET ?`
	selectMatches = selectEvents + whereMatch
	// Same rows as selectMatches, ids only.
	selectMatchIDs = `SELECT events.id FROM events ` + whereMatch
	selectSellers  = `SELECT events.id, events.title, SUM(sales.tickets) AS sold
FROM sales JOIN events ON events.id = sales.event_id
GROUP BY events.id ORDER BY sold DESC, events.id LIMIT ?`
)

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(dest ...any) error }

func scanEvent(r row) (event Event, err error) {
	err = r.Scan(&event.ID, &event.Title, &event.Topic, &event.City, &event.Day)
	return event, err
}

func scanID(r row) (id int64, err error) {
	err = r.Scan(&id)
	return id, err
}

func scanSeller(r row) (seller Seller, err error) {
	err = r.Scan(&seller.EventID, &seller.Title, &seller.Sold)
	return seller, err
}

// collect runs a query and scans every row; no row gives an empty slice.
func collect[T any](ctx context.Context, db *store.DB, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}
