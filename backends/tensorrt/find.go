package tensorrt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
)

// Library is a TensorRT library that was found.
type Library struct {
	Folder       string // where it lies; empty where the system's own search finds it
	Name         string // as "TensorRT for RTX 1.7.1"; empty where it cannot be used
	Version      int    // 10701 for 1.7.1
	Capabilities []int  // compute capabilities it can build for on any machine
	Err          error  // why it cannot be used
}

// LibraryVersion is the version that hone is tested with, as PyPI counts it.
const LibraryVersion = "1.7.1.116"

// EnvLibrary names the folder of the libraries, where set.
const EnvLibrary = "HONE_TENSORRT"

// advice is how to get the libraries. They are NVIDIA's, and not hone's to hand out.
var advice = "get it with `make setup` (or pip install tensorrt-rtx-cu13-libs==" + LibraryVersion +
	" on Linux), or name its folder with --library or " + EnvLibrary

// Find lists the TensorRT libraries of this machine in the order in which they
// are considered: the folder that HONE_TENSORRT names (alone, where set), the
// cache of hone's own set-up, the system's search path, Python packages. Each
// is loaded in a child process and its slot table tried. ErrNoLibrary where
// there is none at all.
func Find(ctx context.Context) ([]Library, error) {
	var found []Library
	err := eachFolder(ctx, "", func(dir string) error {
		lib, err := try(ctx, dir)
		if errors.Is(err, ErrNoLibrary) || errors.Is(err, errNoChild) {
			return err
		}
		lib.Err = err
		found = append(found, lib)
		return ErrNoLibrary // go on looking
	})
	if len(found) > 0 && ctx.Err() == nil {
		return found, nil
	}
	return nil, err
}

// eachFolder does a job with the library of one folder after another until one
// of them has a library that can be used; the error is the job's.
func eachFolder(ctx context.Context, folder string, do func(dir string) error) error {
	var tried []string
	var unknown error
	for _, dir := range searchFolders(folder) {
		err := do(dir)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrNoLibrary):
			tried = append(tried, cmp.Or(dir, "the system's search path"))
		case errors.Is(err, ErrVersion):
			unknown = cmp.Or(unknown, fmt.Errorf("%s: %w", cmp.Or(dir, "the system's library"), err))
		default:
			return err
		}
	}
	if unknown != nil {
		return unknown
	}
	return fmt.Errorf("%w (looked in %s): %s", ErrNoLibrary, strings.Join(tried, ", "), advice)
}

// try loads the library of a folder in a child.
func try(ctx context.Context, dir string) (Library, error) {
	lib := Library{Folder: dir}
	err := runChild(ctx, nvinfer.Job{Library: dir, Check: true}, files{}, func(e nvinfer.Event) {
		if e.Kind == nvinfer.Library {
			lib.Name, lib.Version = e.Text, e.Number
			lib.Capabilities = nvinfer.Capabilities(e.Number)
		}
	})
	return lib, err
}

func searchFolders(folder string) []string {
	if folder = cmp.Or(folder, os.Getenv(EnvLibrary)); folder != "" {
		return []string{folder}
	}
	var folders []string
	if cache, err := CacheDir(); err == nil {
		versions, _ := filepath.Glob(filepath.Join(cache, "*", nvinfer.Families[0].Core))
		slices.SortFunc(versions, func(a, b string) int { return -compareVersions(filepath.Dir(a), filepath.Dir(b)) })
		for _, v := range versions {
			folders = append(folders, filepath.Dir(v))
		}
	}
	folders = append(folders, "")
	home, _ := os.UserHomeDir()
	for _, root := range []string{os.Getenv("VIRTUAL_ENV"), filepath.Join(home, ".local"), "/usr/local", "/usr"} {
		if root == "" {
			continue
		}
		for _, pkg := range []string{"tensorrt_rtx_libs", "tensorrt_libs"} {
			found, _ := filepath.Glob(filepath.Join(root, "lib/python3*/*-packages", pkg))
			folders = append(folders, found...)
		}
	}
	return folders
}

// CacheDir is where `make setup` puts the libraries, one folder a version.
func CacheDir() (string, error) {
	if dir := os.Getenv("HONE_CACHE"); dir != "" {
		return filepath.Join(dir, "tensorrt"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "hone", "tensorrt"), err
}

// compareVersions orders folder names such as 1.10.0 and 1.7.1.
func compareVersions(a, b string) int {
	numbers := func(path string) (out []int) {
		for p := range strings.SplitSeq(filepath.Base(path), ".") {
			n, _ := strconv.Atoi(p)
			out = append(out, n)
		}
		return out
	}
	return slices.Compare(numbers(a), numbers(b))
}
