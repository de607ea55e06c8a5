package catalog

import (
	"errors"
	"log/slog"
	"net/http"

	"shop.example/shop/internal/params"
	"shop.example/shop/internal/reply"
)

// Handler serves the catalog's routes.
func (c *Catalog) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /catalog/events", c.list)
	mux.HandleFunc("GET /catalog/events/{id}", c.get)
	mux.HandleFunc("GET /catalog/search", c.search)
	mux.HandleFunc("GET /catalog/report", c.report)
	return mux
}

func (c *Catalog) list(w http.ResponseWriter, r *http.Request) {
	page, err := params.Page(r.URL.Query().Get("page"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	events, err := c.List(r.Context(), page)
	answer(w, r, events, err)
}

func (c *Catalog) get(w http.ResponseWriter, r *http.Request) {
	id, err := params.EventID(r.PathValue("id"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	event, err := c.Get(r.Context(), id)
	answer(w, r, event, err)
}

func (c *Catalog) search(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	search, err := params.ParseSearch(query.Get("q"), query.Get("variant"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	events, err := c.Search(r.Context(), search)
	answer(w, r, events, err)
}

func (c *Catalog) report(w http.ResponseWriter, r *http.Request) {
	sellers, err := c.Report(r.Context())
	answer(w, r, sellers, err)
}

func answer(w http.ResponseWriter, r *http.Request, value any, err error) {
	switch {
	case err == nil:
		reply.JSON(w, http.StatusOK, value)
	case errors.Is(err, ErrNotFound):
		reply.Error(w, http.StatusNotFound, err.Error())
	case r.Context().Err() != nil:
		reply.Error(w, http.StatusServiceUnavailable, "the caller has gone")
	default:
		slog.Error("catalog", "path", r.URL.Path, "error", err)
		reply.Error(w, http.StatusInternalServerError, "the catalog cannot be read")
	}
}
