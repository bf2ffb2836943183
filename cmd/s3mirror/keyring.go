package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyring are the deployment's secret keys, of 32 bytes each. One that was never changed is
// all three.
type keyring struct {
	key    []byte   // seals what is stored, and refresh tokens
	before [][]byte // older ones: they open what key has not sealed anew yet
	stamps []byte   // the first one of all: the stamps of stored objects are its, and stay so
}

// The words before the keys of a file that holds several, one a line. The first line is
// the key alone.
const (
	wordBefore = "before"
	wordStamps = "stamps"
)

// parseKeyring reads the file of the secret key: the key alone, in any form that
// parseSecretKey knows, or, once it was changed, lines in hex digits.
func parseKeyring(text []byte) (keyring, error) {
	if key, err := parseSecretKey(text); err == nil {
		return keyring{key: key, stamps: key}, nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	key, err := parseSecretKey([]byte(strings.TrimSpace(lines[0])))
	if err != nil {
		return keyring{}, err
	}
	ring := keyring{key: key, stamps: key}
	for _, line := range lines[1:] {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		old, err := hex.DecodeString(rest)
		switch {
		case err != nil || len(old) != secretKeySize:
			return keyring{}, fmt.Errorf("a line holds no key: want %s or %s and 64 hex digits", wordBefore, wordStamps)
		case word == wordBefore:
			ring.before = append(ring.before, old)
		case word == wordStamps:
			ring.stamps = old
		default:
			return keyring{}, fmt.Errorf("a line begins with another word than %s or %s", wordBefore, wordStamps)
		}
	}
	return ring, nil
}

// text is what parseKeyring reads.
func (k keyring) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x\n", k.key)
	for _, old := range k.before {
		fmt.Fprintf(&b, "%s %x\n", wordBefore, old)
	}
	if !bytes.Equal(k.stamps, k.key) {
		fmt.Fprintf(&b, "%s %x\n", wordStamps, k.stamps)
	}
	return b.Bytes()
}

// openKeyring reads the deployment's keys from where the environment says, or from
// the data folder, where the first start makes one. Once there are stamps, a
// missing key is an error and never a new key.
func openKeyring(env environ, dataDir string, first bool) (file string, ring keyring, err error) {
	if file := env.get("S3MIRROR_SECRET_KEY_FILE"); file != "" {
		text, err := readBounded(file, 4<<10)
		if err != nil {
			return "", keyring{}, usageError{fmt.Errorf("S3MIRROR_SECRET_KEY_FILE: %w", err)}
		}
		ring, err := parseKeyring(text)
		if err != nil {
			return "", keyring{}, usageError{fmt.Errorf("S3MIRROR_SECRET_KEY_FILE %s: %w", file, err)}
		}
		return file, ring, nil
	}
	file = filepath.Join(dataDir, "secret.key")
	text, err := readBounded(file, 4<<10)
	switch {
	case err == nil:
		if ring, err = parseKeyring(text); err != nil {
			return "", keyring{}, fmt.Errorf("secret key %s: %w", file, err)
		}
		return file, ring, nil
	case !errors.Is(err, os.ErrNotExist):
		return "", keyring{}, fmt.Errorf("secret key: %w", err)
	case !first:
		return "", keyring{}, fmt.Errorf("secret key %s is gone: restore it from a backup, or name its copy in S3MIRROR_SECRET_KEY_FILE; a new key would not recognise one stored object", file)
	}
	key := make([]byte, secretKeySize)
	rand.Read(key)
	ring = keyring{key: key, stamps: key}
	if err := writePrivate(file, ring.text()); err != nil {
		return "", keyring{}, fmt.Errorf("make the secret key: %w", err)
	}
	return file, ring, nil
}
