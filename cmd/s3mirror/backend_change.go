package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// backendFlags say how a backend is spoken to.
type backendFlags struct {
	endpoint, region, accessKeyID, secret, secretFile, caFile, payloadMode, storageClass, bucket string
	virtualHost                                                                                  bool
}

func (f *backendFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.region, "region", "", "region of the endpoint (a new one's: us-east-1)")
	flags.StringVar(&f.accessKeyID, "access-key-id", "", "access key of the endpoint")
	flags.StringVar(&f.secret, "secret-access-key", "", "its secret; other users of this host can see it: better name a file")
	flags.StringVar(&f.secretFile, "secret-access-key-file", "", "file with the secret")
	flags.StringVar(&f.caFile, "ca-file", "", "trust the certificates of this PEM file instead of the system's; empty: the system's")
	flags.BoolVar(&f.virtualHost, "virtual-host", false, "address buckets in the host name instead of the path")
	flags.StringVar(&f.payloadMode, "payload-mode", "", "auto, unsigned-trailer or signed-chunked (a new one's: auto)")
	flags.StringVar(&f.storageClass, "storage-class", "", "the class in which the backend keeps objects")
	flags.StringVar(&f.bucket, "bucket", "", "probe in this bucket there (default: in one that is made and removed, or one that is on it)")
}

// read takes the files into the flags.
func (f *backendFlags) read() (ca string, err error) {
	if f.secret != "" && f.secretFile != "" {
		return "", usageError{errors.New("--secret-access-key-file: give it, or --secret-access-key, not both")}
	}
	if f.secretFile != "" {
		text, err := readBounded(f.secretFile, 64<<10)
		if err != nil {
			return "", usageError{fmt.Errorf("--secret-access-key-file: %w", err)}
		}
		f.secret = strings.TrimRight(string(text), "\r\n")
	}
	if f.caFile != "" {
		text, err := readBounded(f.caFile, 1<<20)
		if err != nil {
			return "", usageError{fmt.Errorf("--ca-file: %w", err)}
		}
		ca = string(text)
	}
	return ca, nil
}

func newBackendAdd(std streams, env environ) *cobra.Command {
	var f backendFlags
	cmd := &cobra.Command{
		Use:   "add BACKEND ENDPOINT",
		Short: "Add a backend to the running service",
		Long: `Add a backend to the running service. It is probed first, as s3mirror qualify --brief does,
and a backend that is refused is not added. Every node has it then, and keeps it over restarts,
its secret encrypted. No bucket is on it yet: s3mirror bucket create --replica-set puts one there.`,
		Example: `  s3mirror backend add eu-4 https://s3.example.org --access-key-id K --secret-access-key-file secret`,
		Args:    exactly(2, "name one BACKEND and its ENDPOINT, as in https://s3.example.org"),
	}
	f.register(cmd)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		ca, err := f.read()
		if err != nil {
			return err
		}
		pathStyle := !f.virtualHost
		b, err := admin.Do[admin.BackendDetail](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.AddBackend(c.ctx, api.NewBackend{
				Name: args[0], Endpoint: args[1], Region: f.region, AccessKeyID: f.accessKeyID, SecretAccessKey: f.secret,
				PathStyle: &pathStyle, Ca: ca, PayloadMode: f.payloadMode, StorageClass: f.storageClass, Bucket: f.bucket,
			})
		})
		return c.backend(b, err, "is added, and no bucket is on it yet: s3mirror bucket create BUCKET --replica-set "+args[0]+",... puts one there")
	})
}

// backend prints what became of one, or why nothing did.
func (c call) backend(b admin.BackendDetail, err error, done string) error {
	var p *admin.Problem
	if errors.As(err, &p) && p.Probe != nil && c.output != "json" {
		c.probe(*p.Probe)
	}
	if err != nil || c.output == "json" {
		return c.document(b, err)
	}
	c.line("%s %s", b.Name, done)
	return c.err
}

func newBackendChange(std streams, env environ) *cobra.Command {
	var f backendFlags
	cmd := &cobra.Command{
		Use:   "set BACKEND",
		Short: "Change how a backend that was added is spoken to",
		Long: `Change how a backend that was added is spoken to: its address, its keys. It is probed
first, and must be the same store: the buckets on it show who they are. Another store is
another backend. A backend of the configuration is changed there.`,
		Example: `  s3mirror backend set eu-4 --access-key-id K2 --secret-access-key-file secret2`,
		Args:    exactly(1, nameOneBackend),
	}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	f.register(cmd)
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "its URL")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		ca, err := f.read()
		if err != nil {
			return err
		}
		want, some := api.BackendChange{Bucket: f.bucket}, false
		for _, one := range []struct {
			flag  string
			to    **string
			value *string
		}{
			{"endpoint", &want.Endpoint, &f.endpoint}, {"region", &want.Region, &f.region}, {"access-key-id", &want.AccessKeyID, &f.accessKeyID},
			{"secret-access-key", &want.SecretAccessKey, &f.secret}, {"secret-access-key-file", &want.SecretAccessKey, &f.secret},
			{"ca-file", &want.Ca, &ca}, {"payload-mode", &want.PayloadMode, &f.payloadMode}, {"storage-class", &want.StorageClass, &f.storageClass},
		} {
			if cmd.Flags().Changed(one.flag) {
				*one.to, some = one.value, true
			}
		}
		if cmd.Flags().Changed("virtual-host") {
			pathStyle := !f.virtualHost
			want.PathStyle, some = &pathStyle, true
		}
		if !some {
			return usageError{errors.New("name what to set, as --endpoint or --access-key-id")}
		}
		b, err := admin.Do[admin.BackendDetail](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.ChangeBackend(c.ctx, args[0], want)
		})
		return c.backend(b, err, "is changed")
	})
}

func newBackendRemove(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove BACKEND",
		Short: "Remove a backend that was added",
		Long: `Remove a backend that was added. It is refused while a bucket is on it, and for a
backend of the configuration. What it holds is left alone.`,
		Args: exactly(1, nameOneBackend),
	}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		_, err := admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.RemoveBackend(c.ctx, args[0]) })
		return c.done(err, "%s is removed", args[0])
	})
}
