package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// completionPatience is how long a shell waits for names.
const completionPatience = 2 * time.Second

// names asks the server for names of one kind.
type names func(ctx context.Context, c *admin.Client) ([]string, error)

func userNames(ctx context.Context, c *admin.Client) (all []string, err error) {
	users, err := allUsers(ctx, c)
	for _, u := range users {
		all = append(all, u.Login)
	}
	return all, err
}

func bucketNames(ctx context.Context, c *admin.Client) (all []string, err error) {
	buckets, err := allBuckets(ctx, c)
	for _, b := range buckets {
		all = append(all, b.Name)
	}
	return all, err
}

func backendNames(ctx context.Context, c *admin.Client) (all []string, err error) {
	backends, err := c.Backends(ctx)
	for _, b := range backends {
		all = append(all, b.Name)
	}
	return all, err
}

func jobNames(ctx context.Context, c *admin.Client) (all []string, err error) {
	limit := 100
	p, err := admin.Do[api.JobPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.Jobs(ctx, &api.JobsParams{Limit: &limit}) })
	for _, j := range p.Jobs {
		all = append(all, j.ID)
	}
	return all, err
}

// completeNames offers the names that there are for the first argument. When the
// server cannot say, there are none.
func completeNames(env environ, ask names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return liveNames(cmd, env, ask), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag offers the names that there are for the value of a flag.
func completeFlag(cmd *cobra.Command, flag string, env environ, ask names) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return liveNames(cmd, env, ask), cobra.ShellCompDirectiveNoFileComp
	})
}

func liveNames(cmd *cobra.Command, env environ, ask names) []string {
	flags := clientFlags{output: "json"}
	flags.addr, _ = cmd.Flags().GetString("addr")
	client, err := flags.client(env)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	all, err := ask(ctx, client)
	if err != nil {
		return nil
	}
	return all
}
