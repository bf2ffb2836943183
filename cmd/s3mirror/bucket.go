package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newBucket is `s3mirror bucket`.
func newBucket(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "bucket", Short: "Buckets, and how they stand on each backend", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newBucketList(std, env), newBucketShow(std, env), newBucketCreate(std, env), newBucketSet(std, env), newBucketDelete(std, env))
	return cmd
}

const nameOneBucket = "name one BUCKET"

func newBucketList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the buckets that you may know of", Args: noArgs}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		buckets, err := allBuckets(c.ctx, c.client)
		if err != nil || c.output == "json" {
			return c.document(api.BucketPage{Buckets: buckets}, err)
		}
		var rows [][]any
		for _, b := range buckets {
			rows = append(rows, []any{b.Name, c.ago(&b.Created)})
		}
		c.table([]any{"Bucket", "Made"}, rows)
		return c.err
	})
}

// allBuckets gets every page.
func allBuckets(ctx context.Context, c *admin.Client) ([]api.BucketEntry, error) {
	buckets := []api.BucketEntry{}
	limit := pageLimit
	params := &api.ListBucketsParams{Limit: &limit}
	for {
		page, err := admin.Do[api.BucketPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.ListBuckets(ctx, params) })
		if err != nil {
			return nil, err
		}
		if buckets = append(buckets, page.Buckets...); page.Cursor == "" {
			return buckets, nil
		}
		params.Cursor = &page.Cursor
	}
}

func newBucketShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show BUCKET", Short: "Show a bucket, and how it stands on each backend", Args: exactly(1, nameOneBucket)}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		return c.bucket(admin.Do[api.Bucket](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetBucket(c.ctx, args[0]) }))
	})
}

// bucket prints one bucket.
func (c call) bucket(b api.Bucket, err error) error {
	if err != nil || c.output == "json" {
		return c.document(b, err)
	}
	c.line("%s, made %s; a write is answered when %d of %d backends have it%s", b.Name, c.ago(&b.Created), b.Ack.AtLeast, len(b.Replicas), including(b.Ack))
	if b.Mode == api.ModeDisabled {
		c.line("%s", c.warn("its replication is disabled: "+b.Primary+" alone takes reads and writes, what the others miss is logged"))
	}
	if b.Deleting {
		c.line("%s", c.warn("it is being deleted"))
	}
	c.line("")
	var rows [][]any
	for _, r := range b.Replicas {
		paint := c.warn
		switch r.State {
		case api.BucketPresent:
			paint = c.good
		case api.BucketUnusable:
			paint = c.bad
		case api.BucketPending, api.BucketFilling:
		}
		rows = append(rows, []any{r.Backend, paint(string(r.State)), r.Name, r.Reason})
	}
	c.table([]any{"Backend", "State", "Name there", ""}, rows)
	return c.err
}

func including(a api.Ack) string {
	if len(a.Include) == 0 {
		return ""
	}
	return ", among them " + strings.Join(a.Include, ", ")
}

func newBucketCreate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create BUCKET",
		Short: "Make a bucket",
		Long: `Make a bucket on the backends that the configuration says, or on those that are named
here, which may be ones that were added while the server ran.`,
		Example: `  s3mirror bucket create photos --replica-set eu-1,eu-4 --name eu-4=photos-4`,
		Args:    exactly(1, nameOneBucket),
	}
	var at placeFlags
	at.register(cmd, env)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		return c.bucket(admin.Do[api.Bucket](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.CreateBucket(c.ctx, api.NewBucket{Name: args[0], ReplicaSet: at.set, Names: at.names, AssumeEqual: at.assume})
		}))
	})
}

// placeFlags say where a bucket stands.
type placeFlags struct {
	set    []string
	names  map[string]string
	assume bool
}

func (f *placeFlags) register(cmd *cobra.Command, env environ) {
	cmd.Flags().StringSliceVar(&f.set, "replica-set", nil, "the backends that hold it")
	cmd.Flags().StringToStringVar(&f.names, "name", nil, "BACKEND=NAME: its name on a backend, where it differs")
	cmd.Flags().BoolVar(&f.assume, "assume-equal", false, "vouch that replicas that are not empty hold the same objects")
	completeFlag(cmd, "replica-set", env, backendNames)
}

// newBucketSet is `s3mirror bucket set`.
func newBucketSet(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set BUCKET",
		Short: "Set when a write to a bucket is answered, its mode, and who joins its replica set",
		Long: `Set when a write to a bucket is answered, its mode, and who joins its replica set. A write is answered when
--at-least so many backends have it, those of --include among them; 0 is what the
configuration says. s3mirror mode tells what the modes are. --assume-equal vouches that
replicas that were refused since they are not empty hold the same objects.

--replica-set names the backends that hold the bucket: all that do now, and others, which
join them. These take writes at once, are filled, and are read from when that is over:
s3mirror bucket show says "filling" until then, s3mirror job list how far it is. The
bucket may not hold objects there, unless --assume-equal vouches that what looks the same
is the same; what differs is replaced or deleted. No backend can leave a bucket yet.`,
		Example: `  s3mirror bucket set photos --at-least 2 --include eu-1
  s3mirror bucket set photos --replica-set eu-1,eu-2,us-1 --name us-1=photos-us
  s3mirror bucket set photos --mode disabled --primary eu-1`,
		Args: exactly(1, nameOneBucket),
	}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	least := cmd.Flags().Int("at-least", 0, "so many backends")
	include := cmd.Flags().StringSlice("include", nil, "with --at-least: these among them")
	mode := cmd.Flags().String("mode", "", "active or disabled")
	primary := cmd.Flags().String("primary", "", "the backend that takes reads and writes in mode disabled")
	assume := cmd.Flags().Bool("assume-equal", false, "vouch that replicas that were not met yet, and are not empty, hold the same objects")
	set := cmd.Flags().StringSlice("replica-set", nil, "the backends that hold it: those of now, and who joins them")
	names := cmd.Flags().StringToString("name", nil, "with --replica-set: BACKEND=NAME: its name on a backend that joins, where it differs")
	completeFlag(cmd, "replica-set", env, backendNames)
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{"active", "disabled"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "primary", env, backendNames)
	completeFlag(cmd, "include", env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		want := api.BucketChange{Mode: api.Mode(*mode), Primary: *primary, ReplicaSet: *set, Names: *names}
		given, vouched := cmd.Flags().Changed("at-least"), cmd.Flags().Changed("assume-equal")
		if vouched {
			want.AssumeEqual = assume
		}
		switch {
		case !given && !vouched && *mode == "" && len(*set) == 0 && len(*names) == 0:
			return usageError{errors.New("name what to set: --at-least, --mode, --replica-set or --assume-equal")}
		case len(*set) == 0 && len(*names) > 0:
			return usageError{errors.New("--name goes with --replica-set")}
		case !given && len(*include) > 0:
			return usageError{errors.New("--include goes with --at-least")}
		case *mode == "" && *primary != "":
			return usageError{errors.New("--primary goes with --mode disabled")}
		case given:
			want.Ack = &api.NewAck{AtLeast: *least, Include: *include}
		}
		return c.bucket(admin.Do[api.Bucket](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.UpdateBucket(c.ctx, args[0], want) }))
	})
}

func newBucketDelete(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "delete BUCKET", Short: "Remove an empty bucket from every backend", Args: exactly(1, nameOneBucket)}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		_, err := admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.DeleteBucket(c.ctx, args[0]) })
		return c.done(err, "%s is deleted", args[0])
	})
}
