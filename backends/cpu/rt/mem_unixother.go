//go:build unix && !linux

package rt

func adviseHuge([]byte) {}
