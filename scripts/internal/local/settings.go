package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// firestoreHost is the variable with the address of an emulator for Google's client
// libraries.
const firestoreHost = "FIRESTORE_EMULATOR_HOST"

// settings returns the environment of the functions. It does not contain the
// environment of this process, because a variable that is set for a deployment must not
// lead the local run there.
func settings(ctx context.Context, project string, sim *simulator.Server) (map[string]string, error) {
	client := simulator.DefaultClient()
	credentials, err := json.Marshal(map[string]string{"client_id": client.ID, "client_secret": client.Secret.Reveal()})
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"ALEXA_REGIONS":        "NA,EU,FE",
		"GOOGLE_CLOUD_PROJECT": project,
		"GRANT_EVENTS_TOPIC":   grantEvents,
		"DEAD_LETTER_TOPIC":    deadLetters,
		"REFRESH_TOPIC":        refresh,
		"GRANTEE_RESOLVER":     "userinfo:" + sim.UserInfoURL,
		"LWA_CREDENTIALS":      "env:SIMULATOR_CLIENT",
		"SIMULATOR_CLIENT":     string(credentials),
		"GRANT_STORE":          "memory",
	}
	maps.Copy(env, sim.Env())
	firestore, err := emulatorAt(ctx, firestoreHost)
	if err != nil {
		return nil, err
	}
	if firestore != "" {
		keyset, err := keysetFile()
		if err != nil {
			return nil, fmt.Errorf("the key that seals tokens: %w", err)
		}
		env["GRANT_STORE"], env["TOKEN_KEYSET"] = "firestore", "file:"+keyset
	}
	return env, nil
}

// keysetFile returns the path of the keyset. It is created once, because tokens that an
// earlier run sealed in the emulator must open.
func keysetFile() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil { // the user has no home
		cache = os.TempDir()
	}
	path := filepath.Join(cache, "gatepost-local", "token-keyset.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	keyset, err := seal.NewKeyset()
	if err == nil {
		_, err = file.WriteString(keyset.Reveal())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// storeName names the store of grants.
func storeName() string {
	if host := os.Getenv(firestoreHost); host != "" {
		return "the Firestore emulator at " + host
	}
	return "in memory"
}
