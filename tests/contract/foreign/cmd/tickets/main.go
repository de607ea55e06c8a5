// Command tickets is somebody else's service: nothing in it is named or laid out like the sample, so a form that works
// here depends on neither. One server is DefaultServeMux behind http.ListenAndServe, the other gets its handler after
// construction; the database is opened from a connector; nothing ends gracefully but main.
package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"modernc.org/sqlite"
)

// connector opens one fixed in-memory database: the way of services that do not use names of drivers.
type connector struct{ dsn string }

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return &sqlite.Driver{} }

func main() {
	front := flag.String("front", "", "address of the front")
	flag.Parse()
	stock := os.Getenv("STOCK")

	db := sql.OpenDB(connector{"file:tickets?mode=memory&cache=shared"})
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE seat (id INTEGER PRIMARY KEY, taken INTEGER)"); err != nil {
		log.Fatal(err)
	}

	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "yes") })
	http.HandleFunc("GET /seats/{id}", func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+stock+"/left", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(w, response.Body)
	})

	back := &http.Server{Addr: stock}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /left", func(w http.ResponseWriter, r *http.Request) {
		var left int
		if err := db.QueryRowContext(r.Context(), "SELECT count(*) FROM seat WHERE taken = 0").Scan(&left); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, left)
	})
	back.Handler = mux
	go func() { log.Println(back.ListenAndServe()) }()
	go func() { log.Println(http.ListenAndServe(*front, nil)) }()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	<-stop
}
