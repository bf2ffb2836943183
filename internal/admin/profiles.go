package admin

import (
	"net/http"
	"net/http/pprof" //nolint:gosec // nothing serves http.DefaultServeMux, where it registers itself
	"strings"

	"github.com/s3mirror/s3mirror/internal/auth"
)

const profilesPath = "/debug/pprof/"

// isProfile tells whether a request is for a profile of the process: those may
// take as long as the server lets an answer take.
func isProfile(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, profilesPath) }

// profile answers a request for a profile, to admins only: they tell names of
// functions and the command line, and take processor time.
func (h *Handler) profile(c *call, w http.ResponseWriter, r *http.Request) error {
	if err := h.admit(c, r, auth.RoleAdmin); err != nil {
		return err
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return problem(http.StatusMethodNotAllowed, "method-not-allowed", "This path does not take that method", "it takes GET")
	}
	switch strings.TrimPrefix(r.URL.Path, profilesPath) {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r) // the list, and each of the runtime's profiles by its name
	}
	return nil
}
