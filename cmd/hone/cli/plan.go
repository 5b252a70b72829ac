package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/backends/tensorrt/plan"
	"github.com/hone-ml/hone/internal/mmap"
)

// isPlan tells whether a file is a TensorRT engine plan, by its content.
func isPlan(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, plan.HeadSize)
	n, _ := io.ReadFull(f, head)
	return plan.Is(head[:n])
}

// inspectPlan shows what a plan tells of itself.
func inspectPlan(a *app, path string, asJSON bool) error {
	f, err := mmap.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := plan.Read(f.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if asJSON {
		return json.NewEncoder(a.out).Encode(struct {
			*plan.Plan
			Attention int `json:"attention"` // layers with a fused attention kernel
		}{p, p.AttentionKernels()})
	}
	fmt.Fprint(a.out, p)
	return nil
}

// planError says why a plan is not opened as a model.
func planError(path string) error {
	_, err := cuda.Devices()
	if err != nil {
		return fmt.Errorf("%s is a TensorRT engine plan, which runs on an NVIDIA GPU only: %w; "+
			"copy it to a machine that has one of the plan's compute capabilities (hone inspect %s lists them)", path, err, path)
	}
	return fmt.Errorf("%s is a TensorRT engine plan and no model: hone inspect shows what is in it", path)
}
