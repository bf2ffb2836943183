package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newBackend is `s3mirror backend`.
func newBackend(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "backend", Short: "Backends: how they fare, what they can do, and what is asked of them", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newBackendList(std, env), newBackendShow(std, env), newBackendQualify(std, env),
		newBackendAdd(std, env), newBackendChange(std, env), newBackendRemove(std, env),
		newBackendPause(std, env), newBackendResume(std, env), newBackendDrain(std, env), newBackendPace(std, env))
	return cmd
}

const nameOneBackend = "name one BACKEND"

func newBackendList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List all backends", Args: noArgs}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		list, err := c.client.Backends(c.ctx)
		if err != nil || c.output == "json" {
			return c.document(admin.BackendList{Backends: list}, err)
		}
		var rows [][]any
		for _, b := range list {
			rows = append(rows, []any{b.Name, c.state(b.State), level(b.Probe), b.LaggingKeys, size(b.LaggingBytes), c.ago(b.LastSuccess), b.Reason})
		}
		c.table([]any{"Backend", "State", "Level", "Lagging", "Bytes", "Last success", ""}, rows)
		return c.err
	})
}

func level(p *admin.Probe) string {
	if p == nil {
		return "-"
	}
	return p.Level
}

func newBackendShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show BACKEND", Short: "Show a backend: health, latency, lag and what it was found to do", Args: exactly(1, nameOneBackend)}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		b, err := admin.Do[admin.BackendDetail](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetBackend(c.ctx, args[0]) })
		if err != nil || c.output == "json" {
			return c.document(b, err)
		}
		rows := [][2]any{
			{"name", b.Name}, {"state", c.state(b.State)}, {"why", b.Reason}, {"endpoint", b.Endpoint}, {"region", b.Region},
			{"lagging", backlog(admin.Backlog{Keys: b.LaggingKeys, Bytes: b.LaggingBytes, OldestSeconds: b.OldestSeconds})},
			{"latency", milliseconds(b.LatencySeconds)}, {"in flight", b.InFlight}, {"last success", c.ago(b.LastSuccess)},
			{"last failure", c.ago(b.LastFailure)}, {"last error", b.LastError}, {"went away", b.Opens},
		}
		for _, r := range rows {
			if r[1] != "" {
				c.line("%-13s %v", r[0], r[1])
			}
		}
		for _, l := range b.Buckets {
			c.line("%-13s %s in %s", "lags", backlog(l.Lagging), l.Bucket)
		}
		if b.Probe != nil {
			c.line("")
			c.probe(*b.Probe)
		}
		return c.err
	})
}

// probe prints what a backend was found to do.
func (c call) probe(p admin.Probe) {
	c.line("level %s, bodies framed as %s, probed %s", p.Level, list(words([]string{p.PayloadMode}), "none"), c.ago(&p.Taken))
	for _, reason := range p.Reasons {
		c.line("%s", c.warn(reason))
	}
	var rows [][]any
	for _, f := range p.Findings {
		rows = append(rows, []any{f.Name, f.Result, strings.TrimSpace(f.Detail)})
	}
	c.table([]any{"Probe", "Result", ""}, rows)
}

var errBackendRefused = errors.New("the backend is refused")

func newBackendQualify(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "qualify BACKEND",
		Short: "Probe a backend anew",
		Long: `Probe a backend anew, in a bucket that it has, and show what it was found to do.
What is written for it is removed. It exits 1 when the backend is refused.`,
		Args: exactly(1, nameOneBackend),
	}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		p, err := admin.Do[admin.Probe](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.QualifyBackend(c.ctx, args[0]) })
		switch {
		case err != nil || c.output == "json":
			err = c.document(p, err)
		default:
			c.probe(p)
			err = c.err
		}
		if err == nil && p.Level == "refused" {
			return errBackendRefused
		}
		return err
	})
}
