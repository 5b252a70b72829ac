package imaging

import (
	"bytes"
	"encoding/binary"
)

// The functions here find the EXIF block of a file: a small TIFF file. They
// return nil where there is none or the file is damaged; the decoders judge
// that.

func jpegExif(b []byte) []byte {
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		marker, n := b[i+1], int(binary.BigEndian.Uint16(b[i+2:]))
		if marker == 0xda || n < 2 || i+2+n > len(b) { // start of scan
			return nil
		}
		if body, ok := bytes.CutPrefix(b[i+4:i+2+n], []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			return body
		}
		i += 2 + n
	}
	return nil
}

func pngExif(b []byte) []byte {
	for i := 8; i+12 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[i:]))
		if n > len(b)-i-12 {
			return nil
		}
		if string(b[i+4:i+8]) == "eXIf" {
			return b[i+8 : i+8+n]
		}
		i += 12 + n
	}
	return nil
}

func webpExif(b []byte) []byte {
	for i := 12; i+8 <= len(b); {
		n := int(binary.LittleEndian.Uint32(b[i+4:]))
		if n > len(b)-i-8 {
			return nil
		}
		if string(b[i:i+4]) == "EXIF" {
			return bytes.TrimPrefix(b[i+8:i+8+n], []byte("Exif\x00\x00"))
		}
		i += 8 + n + n&1
	}
	return nil
}

// orientation reads tag 0x0112 of the first directory of a TIFF block; 1,
// upright, where there is none.
func orientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	dir := int(order.Uint32(b[4:]))
	if dir < 8 || dir+2 > len(b) {
		return 1
	}
	for i := range int(order.Uint16(b[dir:])) {
		at := dir + 2 + 12*i
		if at+12 > len(b) {
			break
		}
		if order.Uint16(b[at:]) == 0x0112 {
			return int(order.Uint16(b[at+8:]))
		}
	}
	return 1
}
