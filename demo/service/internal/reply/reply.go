// Package reply writes HTTP answers: JSON always, errors included.
package reply

import (
	"encoding/json"
	"net/http"
)

// JSON answers with value. It must be called at most once per request.
func JSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // a programming error: all our types can be encoded
		status, body = http.StatusInternalServerError, []byte(`{"error":"answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // an error here means the caller has gone
}

// Error answers with a message.
func Error(w http.ResponseWriter, status int, message string) {
	JSON(w, status, map[string]string{"error": message})
}
