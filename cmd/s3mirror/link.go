package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newObjectLink is `s3mirror object link`.
func newObjectLink(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link BUCKET/KEY",
		Short: "Make a link to an object, for someone without a login",
		Long: `Make a link to an object, for someone without a login. Whoever has it may download
the object, or with --put upload it, until it ends: after --expires, and before that
with a new password of yours. Your limits hold when it is used, those on addresses too.`,
		Example: `  s3mirror object link photos/2026/a.jpg --expires 24h
  curl -fT a.jpg "$(s3mirror object link photos/2026/a.jpg --put)"`,
		Args: exactly(1, nameOneObject),
	}
	put := cmd.Flags().Bool("put", false, "a link that uploads")
	download := cmd.Flags().Bool("download", false, "browsers keep the content as a file")
	expires := cmd.Flags().Duration("expires", time.Hour, "how long it is good for, up to 168h")
	cmd.MarkFlagsMutuallyExclusive("put", "download")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[0])
		if err != nil {
			return err
		}
		want := api.NewLink{Method: api.LinkGet, Download: *download, ExpiresIn: int(*expires / time.Second)}
		if *put {
			want.Method = api.LinkPut
		}
		if want.ExpiresIn < 1 {
			return usageError{fmt.Errorf("--expires %s: want a second or more", *expires)}
		}
		l, err := admin.Do[api.Link](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.PresignObject(c.ctx, bucket, &api.PresignObjectParams{Key: key}, want)
		})
		if err != nil || c.output == "json" {
			return c.document(l, err)
		}
		c.line("%s", l.URL)
		return c.err
	})
}
