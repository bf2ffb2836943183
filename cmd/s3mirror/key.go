package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

const nameOneKey = "name the ACCESS-KEY, and before it the LOGIN unless it is yours"

// oneKey is the key that [LOGIN] ACCESS-KEY names, and whose it is.
func (c call) oneKey(args []string) (who, id string, err error) {
	last := len(args) - 1
	who, err = c.whom(args[:last])
	return who, args[last], err
}

// newKey is `s3mirror key`.
func newKey(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "S3 keys of users", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newKeyList(std, env), newKeyCreate(std, env), newKeyRotate(std, env), newKeyDelete(std, env))
	return cmd
}

func newKeyList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list [LOGIN]", Short: "List the S3 keys of a user, or yours", Args: atMost(1, nameOneUser)}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		who, err := c.whom(args)
		if err != nil {
			return err
		}
		list, err := admin.Do[api.KeyList](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.ListKeys(c.ctx, who) })
		if err != nil || c.output == "json" {
			return c.document(list, err)
		}
		var rows [][]any
		for _, k := range list.Keys {
			rows = append(rows, []any{k.AccessKeyID, c.ago(&k.Created), c.until(k.Expires), c.ago(k.LastUsed)})
		}
		c.table([]any{"Access key", "Made", "Expires", "Last used"}, rows)
		return c.err
	})
}

// until says when a key ends.
func (c call) until(at *time.Time) string {
	switch {
	case at == nil:
		return "never"
	case !at.After(c.now):
		return c.bad("expired")
	}
	return "in " + age(at.Sub(c.now).Seconds())
}

func newKeyCreate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create [LOGIN]",
		Short: "Make an S3 key for a user, or for yourself; the secret is shown this once",
		Args:  atMost(1, nameOneUser),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	expires := cmd.Flags().String("expires", "", "when it ends: a span as in 90d, or a time as in 2026-12-31T00:00:00Z (default never)")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		at, err := parseExpires(*expires, c.now)
		if err != nil {
			return err
		}
		who, err := c.whom(args)
		if err != nil {
			return err
		}
		key, err := admin.Do[api.KeyWithSecret](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.CreateKey(c.ctx, who, api.NewKey{Expires: at})
		})
		return c.secret(key, err)
	})
}

// secret prints a new key.
func (c call) secret(key api.KeyWithSecret, err error) error {
	if err != nil || c.output == "json" {
		return c.document(key, err)
	}
	c.line("access key: %s", key.AccessKeyID)
	c.line("secret key: %s", key.SecretAccessKey)
	c.line("expires:    %s", c.until(key.Expires))
	c.line("the secret is not shown again")
	return c.err
}

func newKeyRotate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [LOGIN] ACCESS-KEY",
		Short: "Make an S3 key in the place of another; the secret is shown this once",
		Long: `Make an S3 key in the place of another, with what is left of its life. The other
one opens nothing any more, or for --grace more, so that programs can be given the
new one first.`,
		Args: between(1, 2, nameOneKey),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	grace := cmd.Flags().String("grace", "0s", "how long the old key goes on opening, as in 24h or 7d")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		span, err := ParseDuration(*grace)
		if err != nil || span < 0 {
			return usageError{fmt.Errorf("--grace %q: want a span as in 24h or 7d", *grace)}
		}
		who, id, err := c.oneKey(args)
		if err != nil {
			return err
		}
		return c.secret(admin.Do[api.KeyWithSecret](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.RotateKey(c.ctx, who, id, api.KeyRotation{GraceSeconds: int64(time.Duration(span).Seconds())})
		}))
	})
}

// parseExpires reads a moment, or a span from now; empty is never.
func parseExpires(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		span, err := ParseDuration(text)
		if err != nil || span <= 0 {
			return nil, usageError{fmt.Errorf("--expires %q: want a span as in 90d, or a time as in 2026-12-31T00:00:00Z", text)}
		}
		at = now.Add(time.Duration(span))
	}
	at = at.UTC()
	return &at, nil
}

func newKeyDelete(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete [LOGIN] ACCESS-KEY",
		Short: "Take an S3 key from a user, or from yourself",
		Args:  between(1, 2, nameOneKey),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		who, id, err := c.oneKey(args)
		if err != nil {
			return err
		}
		_, err = admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.DeleteKey(c.ctx, who, id) })
		return c.done(err, "%s of %s opens nothing any more", id, who)
	})
}
