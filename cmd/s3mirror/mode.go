package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newMode is `s3mirror mode`.
func newMode(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mode [active | disabled --primary BACKEND]",
		Short: "Show the modes of replication, or set one",
		Long: `Without a word, show the modes of replication. With one, set the mode of all buckets,
or with --bucket of one.

active: every replica takes writes, and what some missed is healed.
disabled: the primary alone takes writes and is read; what the others miss is logged,
and is healed by itself once the bucket is active again. Until then what was written
rests on one backend.

A bucket that was given a mode keeps it, until it is set to the mode of all.`,
		Example: `  s3mirror mode disabled --primary eu-1
  s3mirror mode disabled --primary ru-1 --bucket photos
  s3mirror mode active`,
		Args: atMost(1, "name one mode: active or disabled"),
	}
	primary := cmd.Flags().String("primary", "", "the backend that takes reads and writes in mode disabled")
	bucket := cmd.Flags().String("bucket", "", "only this bucket")
	cmd.ValidArgs = []string{"active", "disabled"}
	completeFlag(cmd, "primary", env, backendNames)
	completeFlag(cmd, "bucket", env, bucketNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		if len(args) == 0 {
			if *primary != "" || *bucket != "" {
				return usageError{errors.New("name a mode: active or disabled")}
			}
			return c.modes(admin.Do[api.Modes](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetMode(c.ctx) }))
		}
		want := api.NewMode{Mode: api.Mode(args[0]), Primary: *primary, Bucket: *bucket}
		switch {
		case !want.Mode.Valid():
			return usageError{fmt.Errorf("%q is no mode: active or disabled", args[0])}
		case want.Mode == api.ModeDisabled && *primary == "":
			return usageError{errors.New("name the backend that takes reads and writes: --primary BACKEND")}
		case want.Mode == api.ModeActive && *primary != "":
			return usageError{errors.New("--primary is for mode disabled")}
		}
		return c.modes(admin.Do[api.Modes](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.SetMode(c.ctx, want) }))
	})
}

// modes prints the modes in force.
func (c call) modes(m api.Modes, err error) error {
	if err != nil || c.output == "json" {
		return c.document(m, err)
	}
	rows := [][]any{{"all", c.mode(m.Mode), m.Primary}}
	for _, b := range m.Buckets {
		rows = append(rows, []any{b.Bucket, c.mode(b.Mode), b.Primary})
	}
	c.table([]any{"Bucket", "Mode", "Primary"}, rows)
	return c.err
}

func (c call) mode(m api.Mode) string {
	if m == api.ModeActive {
		return c.good(string(m))
	}
	return c.warn(string(m))
}
