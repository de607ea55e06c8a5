package gateway

import (
	"errors"
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/shop/internal/catalog"
	"shop.example/shop/internal/reply"
)

// answer sends value, or what err means to a customer.
func answer(w http.ResponseWriter, r *http.Request, code int, value any, err error) {
	if err == nil {
		reply.JSON(w, code, value)
		return
	}
	code, message := meaning(r, err)
	if code == http.StatusBadGateway {
		slog.Error("gateway", "path", r.URL.Path, "error", err)
	}
	reply.Error(w, code, message)
}

// meaning translates another part's failure. Details stay in the log.
func meaning(r *http.Request, err error) (code int, message string) {
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return http.StatusNotFound, err.Error()
	case r.Context().Err() != nil:
		return http.StatusServiceUnavailable, "the caller has gone"
	}
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	if ok && timeout.Timeout() {
		return http.StatusGatewayTimeout, "a part of the shop did not answer in time"
	}
	switch answer := status.Convert(err); answer.Code() {
	case codes.NotFound:
		return http.StatusNotFound, answer.Message()
	case codes.InvalidArgument:
		return http.StatusBadRequest, answer.Message()
	case codes.FailedPrecondition:
		return http.StatusConflict, answer.Message()
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout, "a part of the shop did not answer in time"
	default:
		return http.StatusBadGateway, "a part of the shop does not answer"
	}
}

// firstOf returns the first error there is.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
