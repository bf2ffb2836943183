package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// The ways to write much with few requests. Straight to the backends each does all of it
// by itself, all three at the same time.
const (
	partsStraight  = "8 parts to the three"
	partsThrough   = "8 parts through"
	copyStraight   = "copy on the three"
	copyThrough    = "copy through"
	deleteStraight = "1,000 deletes at the three"
	deleteThrough  = "1,000 deletes through"
)

const (
	bulkParts   = 8
	bulkDeletes = 1000
	bulkBatches = 20 // of them in a turn: one takes less than the kernel's ticks can tell
)

var bulk = experiment{
	name: "bulk", rounds: 5,
	about: "one object of 1 GiB or one request for 1,000 keys at a time, 20 of these in a turn, client, gateway and three versitygw (posix on tmpfs) share the cores; bodies with crc32c trailers",
	rows: []row{
		{id: "bulk.parts", kind: "saturated", figure: "1 GiB PUT in 8 parts at the same time, through / ideal", target: "≤ 1.10", limit: 1.10, show: times, value: ratio(partsThrough, partsStraight)},
		{id: "bulk.copy", kind: "saturated", figure: "copy of 1 GiB on the servers, through / the slowest of the three", target: "≤ 1.2x", limit: 1.2, show: times, value: ratio(copyThrough, copyStraight)},
		{id: "bulk.delete", kind: "saturated", figure: "DeleteObjects of 1,000 keys, 20 of them, through / the slowest of the three", target: "≤ 1.5x", limit: 1.5, show: times, value: ratio(deleteThrough, deleteStraight)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.versitygws(ctx, true)
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		straight, through := endpoints(backends), ideal{g.endpoint()}
		if err := errors.Join(keepLong(g, gib), straight.put(direct, keptLong, content{size: gib}, sigv4.UnsignedTrailer)); err != nil {
			return nil, err
		}
		return []way{
			b.parts(partsStraight, nil, straight, direct, backends),
			b.parts(partsThrough, g.proc, through, bucket, backends),
			b.copies(copyStraight, nil, straight, direct, backends),
			b.copies(copyThrough, g.proc, through, bucket, backends),
			b.deletes(deleteStraight, nil, straight, direct),
			b.deletes(deleteThrough, g.proc, through, bucket),
		}, nil
	},
}

// parts uploads 1 GiB in parts that are sent at the same time.
func (b *bench) parts(name string, watched *process, to ideal, bucket string, backends []server) way {
	all := sdks(to)
	return way{name: name, watched: watched,
		prepare: run(func(ctx context.Context) (measure, error) {
			return measure{}, to.upload(ctx, all, bucket, b.freshKey(), gib, bulkParts)
		}),
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

// upload sends an object in so many equal parts, each hashed once and sent to all.
func (all ideal) upload(ctx context.Context, clients []*s3.Client, bucket, key string, size int64, parts int) error {
	ids := make([]string, len(all))
	err := atOnce(len(all), func(i int) error {
		made, err := clients[i].CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
		})
		if err == nil {
			ids[i] = aws.ToString(made.UploadId)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = atOnce(parts, func(n int) error {
		c := newContent(size/int64(parts), n)
		d := digestOf(sigv4.UnsignedTrailer)
		var hashing sync.WaitGroup
		hashing.Go(func() { d.run(c) })
		defer hashing.Wait()
		return atOnce(len(all), func(i int) error {
			place := fmt.Sprintf("%s?partNumber=%d&uploadId=%s", bucket, n+1, sigv4.EscapeQuery(ids[i]))
			return again(func() error { return all[i].put(place, key, c, sigv4.UnsignedTrailer, d) })
		})
	})
	if err != nil {
		return err
	}
	return atOnce(len(all), func(i int) error { return complete(ctx, clients[i], bucket, key, ids[i]) })
}

// complete puts together what an endpoint has of an upload.
func complete(ctx context.Context, client *s3.Client, bucket, key, id string) error {
	has, err := client.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &id})
	if err != nil {
		return err
	}
	var named []types.CompletedPart
	for _, p := range has.Parts {
		named = append(named, types.CompletedPart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: named},
	})
	return err
}

// copies lets the endpoints copy the object that stands in the bucket as keptLong.
func (b *bench) copies(name string, watched *process, to ideal, bucket string, backends []server) way {
	all := sdks(to)
	return way{name: name, watched: watched,
		prepare: run(func(ctx context.Context) (measure, error) {
			key := b.freshKey()
			return measure{}, atOnce(len(all), func(i int) error {
				_, err := all[i].CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/" + keptLong)})
				return err
			})
		}),
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

// deletes removes keys that were put beforehand, a thousand with a request.
func (b *bench) deletes(name string, watched *process, to ideal, bucket string) way {
	all := sdks(to)
	return way{name: name, watched: watched,
		prepare: func(ctx context.Context) (func() (measure, error), error) {
			keys := b.freshKeys(bulkDeletes * bulkBatches)
			_, err := each(clients, len(keys), func(i int) error { return to.putSmall(bucket, keys[i], newContent(smallSize, i).small()) })
			if err != nil {
				return nil, err
			}
			asks := make([]*types.Delete, bulkBatches)
			for i := range asks {
				asks[i] = &types.Delete{Quiet: aws.Bool(true)}
				for j := range bulkDeletes {
					asks[i].Objects = append(asks[i].Objects, types.ObjectIdentifier{Key: &keys[i*bulkDeletes+j]})
				}
			}
			return func() (measure, error) {
				return measure{}, atOnce(len(all), func(i int) error {
					for _, ask := range asks {
						done, err := all[i].DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: ask})
						if err == nil && len(done.Errors) > 0 {
							err = fmt.Errorf("%d keys are not deleted: %s", len(done.Errors), aws.ToString(done.Errors[0].Message))
						}
						if err != nil {
							return err
						}
					}
					return nil
				})
			}, nil
		},
	}
}

// again does what failed once more, as clients do with a part.
func again(do func() error) error {
	if do() == nil {
		return nil
	}
	return do()
}

// atOnce does n things at the same time.
func atOnce(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
