package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// secretKeySize is the length of the deployment's key in bytes.
const secretKeySize = 32

// secrets are what makes this deployment itself: the key from which stamps and
// the encryption of stored secrets are derived, and the built-in user.
type secrets struct {
	keyring
	file         string // where the keyring stands
	root         rootKeys
	passwordHash string
}

// rootKeys are the S3 keys of root.
type rootKeys struct {
	AccessKeyID     string
	SecretAccessKey sigv4.Secret
}

// rootRecord is root as the log keeps it.
type rootRecord struct {
	Login        string `json:"login"`
	AccessKeyID  string `json:"access_key_id"`
	Sealed       []byte `json:"sealed_secret"` // the secret access key, encrypted
	PasswordHash string `json:"password_hash"`
}

// announcer is told, once, what was made up at the first start.
type announcer func(what, value string)

// announceTo writes generated secrets for the person who starts the server.
func announceTo(w io.Writer) announcer {
	return func(what, value string) {
		fmt.Fprintf(w, "s3mirror: generated %s, shown only this once: %s\n", what, value)
	}
}

// openSecrets loads the secrets, or makes them at the very first start. What
// the environment gives wins and is kept.
func openSecrets(ctx context.Context, env environ, dataDir string, log oplog.Documents, passwords *auth.Passwords, say announcer) (*secrets, error) {
	doc, err := log.Doc(ctx, oplog.DocUser, auth.RootLogin)
	first := errors.Is(err, oplog.ErrNoRow)
	if err != nil && !first {
		return nil, fmt.Errorf("read user root: %w", err)
	}
	file, ring, err := openKeyring(env, dataDir, first)
	if err != nil {
		return nil, err
	}
	key := ring.key
	s := &secrets{keyring: ring, file: file}
	var kept keptRoot
	if !first {
		if kept, err = readRoot(ring, doc.Body); err != nil {
			return nil, err
		}
	}
	made, err := s.resolve(ctx, env, kept, passwords)
	if err != nil {
		return nil, err
	}
	if now := (keptRoot{s.root, s.passwordHash}); now != kept {
		if err := now.keep(ctx, key, log, doc.Epoch); err != nil {
			return nil, err
		}
	}
	for _, m := range made { // only now: what is shown is what is kept
		say(m[0], m[1])
	}
	return s, nil
}

// keptRoot is what the log remembers of root, decrypted.
type keptRoot struct {
	keys         rootKeys
	passwordHash string
}

// readRoot decrypts root's record. It proves on the way that the secret key is
// the one of this log: with another one every stored object would be foreign.
func readRoot(ring keyring, body []byte) (keptRoot, error) {
	var record rootRecord
	if err := json.Unmarshal(body, &record); err != nil {
		return keptRoot{}, fmt.Errorf("read user root: %w", err)
	}
	secret, err := unseal(ring.key, record.Sealed)
	for _, old := range ring.before {
		if err != nil {
			secret, err = unseal(old, record.Sealed)
		}
	}
	if err != nil {
		return keptRoot{}, errors.New("the secret key is not the one with which this data folder was made: stored secrets cannot be read, and stored objects would not be recognised; restore the key")
	}
	return keptRoot{rootKeys{record.AccessKeyID, sigv4.Secret(secret)}, record.PasswordHash}, nil
}

// keep stores root in place of the record whose epoch is given.
func (k keptRoot) keep(ctx context.Context, key []byte, log oplog.Documents, epoch oplog.Epoch) error {
	body, err := json.Marshal(rootRecord{
		Login: auth.RootLogin, AccessKeyID: k.keys.AccessKeyID,
		Sealed: seal(key, string(k.keys.SecretAccessKey)), PasswordHash: k.passwordHash,
	})
	if err != nil {
		return err
	}
	doc := oplog.Doc{Kind: oplog.DocUser, Name: auth.RootLogin, Epoch: oplog.NewEpoch(), Body: body}
	if err := log.SwapDoc(ctx, epoch, doc); err != nil {
		return fmt.Errorf("keep user root: %w", err)
	}
	return nil
}

// resolve decides which keys and password are in force: the environment's, else
// the kept ones, else new ones, which it returns.
func (s *secrets) resolve(ctx context.Context, env environ, kept keptRoot, passwords *auth.Passwords) (made [][2]string, err error) {
	access, secret := env.get("S3MIRROR_ROOT_ACCESS_KEY"), env.get("S3MIRROR_ROOT_SECRET_KEY")
	switch {
	case (access == "") != (secret == ""):
		return nil, usageError{errors.New("set both S3MIRROR_ROOT_ACCESS_KEY and S3MIRROR_ROOT_SECRET_KEY, or neither")}
	case access != "":
		s.root = rootKeys{access, sigv4.Secret(secret)}
	case kept.keys.AccessKeyID != "":
		s.root = kept.keys
	default:
		s.root = newRootKeys()
		made = append(made, [2]string{"access key of root", s.root.AccessKeyID}, [2]string{"secret key of root", string(s.root.SecretAccessKey)})
	}

	password := env.get("S3MIRROR_ROOT_PASSWORD")
	if password == "" && kept.passwordHash == "" {
		password = randomText(18)
		made = append(made, [2]string{"password of root", password})
	}
	s.passwordHash = kept.passwordHash
	if password == "" {
		return made, nil
	}
	if same, err := passwords.Check(ctx, password, kept.passwordHash); err == nil && same {
		return made, nil
	}
	s.passwordHash, err = passwords.Hash(ctx, password)
	return made, err
}

// newRootKeys makes keys in the form that S3 tools expect.
func newRootKeys() rootKeys {
	id, secret := auth.NewAccessKey()
	return rootKeys{id, secret}
}

// randomText has 8 bits of chance for each of its bytes, as base64url.
func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseSecretKey reads 32 bytes: raw, as 64 hex digits, or as base64.
func parseSecretKey(text []byte) ([]byte, error) {
	if len(text) == secretKeySize {
		return text, nil
	}
	trimmed := strings.TrimSpace(string(text))
	if key, err := hex.DecodeString(trimmed); err == nil && len(key) == secretKeySize {
		return key, nil
	}
	for _, form := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if key, err := form.DecodeString(trimmed); err == nil && len(key) == secretKeySize {
			return key, nil
		}
	}
	return nil, errors.New("want 32 bytes: raw, 64 hex digits, or base64")
}

// seal encrypts a short text with AES-256-GCM under a fresh nonce, which the
// cipher draws and puts first.
func seal(key []byte, text string) []byte {
	return sealer(key).Seal(nil, nil, //nolint:gosec // the nonce is drawn inside
		[]byte(text), []byte(sealContext))
}

// unseal decrypts what seal made with the same key.
func unseal(key, sealed []byte) (string, error) {
	text, err := sealer(key).Open(nil, nil, sealed, []byte(sealContext))
	return string(text), err
}

// sealContext binds a sealed text to its use.
const sealContext = "s3mirror root secret v1"

func sealer(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has 32 bytes: parseSecretKey
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block of another size than AES's
	}
	return aead
}
