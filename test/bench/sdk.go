package main

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// sdk is the AWS SDK for Go as its users have it: nothing is set but where to go
// and who asks.
func (e *endpoint) sdk() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + e.addr), Region: region, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: e.keys.access, SecretAccessKey: string(e.keys.secret)}, nil
		}),
	})
}

// sdkPut writes a body to all at the same time.
func sdks(to ideal) []*s3.Client {
	var all []*s3.Client
	for _, e := range to {
		all = append(all, e.sdk())
	}
	return all
}

func sdkPut(ctx context.Context, all []*s3.Client, bucket, key string, c content) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, client := range all {
		wg.Go(func() {
			_, errs[i] = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: &reader{content: c}})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
