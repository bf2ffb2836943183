package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

func newBackendPause(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause BACKEND",
		Short: "Ask a backend for nothing until it is resumed",
		Long: `Ask a backend for nothing, on every node and over restarts, until it is resumed or the
time is over. What it misses is logged, and healed then. It is refused when a bucket
could not be written to without it.`,
		Args: exactly(1, nameOneBackend),
	}
	wait := cmd.Flags().Duration("for", 0, "how long, as in 30m; without it until it is resumed")
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		var want api.NewPause
		switch {
		case *wait < 0:
			return usageError{fmt.Errorf("--for %v: want a time to come", *wait)}
		case *wait > 0:
			until := c.now.Add(*wait).UTC()
			want.Until = &until
		}
		b, err := admin.Do[admin.BackendDetail](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.PauseBackend(c.ctx, args[0], want)
		})
		if err != nil || c.output == "json" {
			return c.document(b, err)
		}
		if want.Until != nil {
			c.line("%s is paused until %s", args[0], want.Until.Local().Format(time.DateTime))
		} else {
			c.line("%s is paused: s3mirror backend resume %s ends it", args[0], args[0])
		}
		return c.err
	})
}

func newBackendResume(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "resume BACKEND", Short: "End the pause of a backend", Args: exactly(1, nameOneBackend)}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		b, err := admin.Do[admin.BackendDetail](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.ResumeBackend(c.ctx, args[0]) })
		if err != nil || c.output == "json" {
			return c.document(b, err)
		}
		c.line("%s is not paused; it lags by %s", args[0], backlog(admin.Backlog{Keys: b.LaggingKeys, Bytes: b.LaggingBytes, OldestSeconds: b.OldestSeconds}))
		return c.err
	})
}

func newBackendPace(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pace [BACKEND]",
		Short: "Show what heals may take of the backends, or limit it",
		Long: `Show what heals may take of each backend. With a flag, limit it: of one backend, or of
all. Clients come first whatever the limits are; 0 is no limit.`,
		Example: `  s3mirror backend pace eu-1 --bytes 20MiB --requests 50
  s3mirror backend pace --reset`,
		Args: atMost(1, nameOneBackend),
	}
	bytes := cmd.Flags().String("bytes", "0", "bytes a second to and from the backend, as in 20MiB")
	requests := cmd.Flags().Float64("requests", 0, "requests a second")
	reset := cmd.Flags().Bool("reset", false, "back to the limits of the configuration")
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		backend := ""
		if len(args) > 0 {
			backend = args[0]
		}
		given := cmd.Flags().Changed
		switch {
		case *reset && (given("bytes") || given("requests")):
			return usageError{errors.New("give --reset, or limits")}
		case *reset:
			params := &api.ResetPaceParams{}
			if backend != "" {
				params.Backend = &backend
			}
			return c.paces("", func(a *api.Client) (*http.Response, error) { return a.ResetPace(c.ctx, params) })
		case !given("bytes") && !given("requests"):
			return c.paces(backend, func(a *api.Client) (*http.Response, error) { return a.GetPace(c.ctx) })
		case *requests < 0:
			return usageError{fmt.Errorf("--requests %v: want 0 (no limit) or more", *requests)}
		}
		most, err := ParseSize(*bytes)
		if err != nil {
			return usageError{fmt.Errorf("--bytes: %w", err)}
		}
		want := api.NewPace{Backend: backend, BytesPerSecond: int64(most), RequestsPerSecond: *requests}
		return c.paces("", func(a *api.Client) (*http.Response, error) { return a.SetPace(c.ctx, want) })
	})
}

// paces prints the limits that the API answers with; of one backend only, if it is named.
func (c call) paces(only string, ask func(*api.Client) (*http.Response, error)) error {
	p, err := admin.Do[api.Paces](c.ctx, c.client, ask)
	if err != nil || c.output == "json" {
		return c.document(p, err)
	}
	var rows [][]any
	for _, b := range p.Backends {
		if only == "" || only == b.Backend {
			rows = append(rows, []any{b.Backend, limit(b.BytesPerSecond > 0, size(b.BytesPerSecond)), limit(b.RequestsPerSecond > 0, b.RequestsPerSecond)})
		}
	}
	if len(rows) == 0 {
		return fmt.Errorf("there is no backend %s", only)
	}
	c.table([]any{"Backend", "Bytes a second", "Requests a second"}, rows)
	return c.err
}

func limit(set bool, value any) any {
	if !set {
		return "no limit"
	}
	return value
}
