package memory_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mirror/s3mirror/internal/memory"
)

// TestFiles: the two servers that keep objects as files, by what was measured of
// versitygw and MinIO.
func TestFiles(t *testing.T) {
	long := strings.Repeat("s", 300)
	for name, c := range map[string]struct {
		files   memory.Files
		refused map[string]string // key -> code
		stored  map[string]string // key -> under which it stands
		hidden  []string
	}{
		"refusing": {memory.RefusingFiles, map[string]string{
			"a/below": "ObjectParentIsFile", "d": "ExistingObjectIsDirectory", long: "KeyTooLongError", "e/": "DirectoryObjectContainsData", ".": "InvalidArgument",
		}, map[string]string{"x//y": "x/y", "x/./y": "x/y", "x/../z": "z", "x/z/.": "x/z"}, nil},
		"hiding": {memory.HidingFiles, map[string]string{
			"x/./y": "InvalidArgument", "x/../y": "InvalidArgument", long: "KeyTooLongError",
		}, map[string]string{"x//y": "x/y", "e/": "e/", "a/below": "a/below"}, []string{"a/below"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForeign(t, memory.Personality{Files: c.files})
			put := func(key string) error {
				_, err := f.PutObject(bg, &awss3.PutObjectInput{Bucket: f.bucket, Key: aws.String(key), Body: strings.NewReader(key)})
				return err
			}
			for _, key := range []string{"a", "d/e"} {
				if err := put(key); err != nil {
					t.Fatal(err)
				}
			}
			for key, want := range c.refused {
				code(t, put(key), want)
			}
			for key, as := range c.stored {
				if err := put(key); err != nil {
					t.Errorf("%s: %v", key, err)
				}
				f.stands(as, []byte(key))
			}
			page, err := f.ListObjectsV2(bg, &awss3.ListObjectsV2Input{Bucket: f.bucket})
			if err != nil {
				t.Fatal(err)
			}
			listed := map[string]bool{}
			for _, o := range page.Contents {
				listed[aws.ToString(o.Key)] = true
			}
			for _, key := range c.hidden {
				if listed[key] {
					t.Errorf("%s is listed", key)
				}
			}
			if !listed["a"] || !listed["d/e"] || listed["x//y"] {
				t.Errorf("listed: %v", listed)
			}
			_, err = f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("d//e")}}}})
			if err != nil {
				t.Error(err)
			}
			_, err = f.HeadObject(bg, &awss3.HeadObjectInput{Bucket: f.bucket, Key: aws.String("d/e")})
			if err == nil {
				t.Error("d/e stands after d//e was deleted")
			}
		})
	}
}
