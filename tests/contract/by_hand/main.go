// A service that somebody instrumented by hand.
package main

import (
	"log"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func main() {
	hi := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hi\n")) })
	mux := http.NewServeMux()
	mux.Handle("/hi", hi)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), otelhttp.NewHandler(mux, "by hand")))
}
