package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newSecretKey is `s3mirror secret-key`.
func newSecretKey(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "secret-key", Short: "The deployment's secret key", Args: noArgs, RunE: needsCommand}
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Put a new secret key in the place of the present one",
		Long: `Put a new secret key in the place of the present one, while the server runs: it makes
the key, writes it into the key's file, and seals with it whatever is stored. S3 keys and
passwords stay as they are; refresh tokens, temporary keys and links end, so everybody
logs in again. The file keeps the first key of all, by which stored objects are
recognised: back it up anew.`,
		Args: noArgs,
	}
	cmd.AddCommand(clientCommand(rotate, std, env, func(c call, _ []string) error {
		r, err := admin.Do[api.Rotated](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.RotateSecretKey(c.ctx) })
		if err != nil || c.output == "json" {
			return c.document(r, err)
		}
		return c.done(nil, "the secret key is another one; %d records were sealed anew", r.Resealed)
	}))
	return cmd
}
