package rt

// winoIn1 is Winograd's input transform of six values, by the points 0, ±1, ±2 and infinity.
func winoIn1(d [winoIn]float32) [winoIn]float32 {
	a, b := d[4]-4*d[2], d[3]-4*d[1]
	c, e := d[4]-d[2], 2*(d[3]-d[1])
	return [winoIn]float32{4*d[0] - 5*d[2] + d[4], a + b, a - b, c + e, c - e, 4*d[1] - 5*d[3] + d[5]}
}

// winoOut1 is the output transform of six values to four.
func winoOut1(m [winoIn]float32) [winoOut]float32 {
	a, b, c, d := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [winoOut]float32{m[0] + a + c, b + 2*d, a + 4*c, b + 8*d + m[5]}
}

func genericWinoIn(g *WinoArgs) {
	for t := range int(g.N) {
		for l := range Lanes {
			var half [winoIn][winoIn]float32 // [column][row]
			for x := range winoIn {
				var d [winoIn]float32
				for y := range winoIn {
					d[y] = *float(at(g.Src, y*int(g.LdS)+(t*winoOut+x)*laneBytes+l*4))
				}
				half[x] = winoIn1(d)
			}
			for y := range winoIn {
				var d [winoIn]float32
				for x := range winoIn {
					d[x] = half[x][y]
				}
				for x, v := range winoIn1(d) {
					*float(at(g.Dst, (y*winoIn+x)*int(g.LdD)+t*laneBytes+l*4)) = v
				}
			}
		}
	}
}

func genericWinoOut(g *WinoArgs) {
	for t := range int(g.N) {
		for l := range Lanes {
			var half [winoIn][winoOut]float32 // [column][row]
			for x := range winoIn {
				var m [winoIn]float32
				for y := range winoIn {
					m[y] = *float(at(g.Src, (y*winoIn+x)*int(g.LdS)+t*laneBytes+l*4))
				}
				half[x] = winoOut1(m)
			}
			for y := range winoOut {
				var m [winoIn]float32
				for x := range winoIn {
					m[x] = half[x][y]
				}
				for x, v := range winoOut1(m) {
					off := y*int(g.LdD) + (t*winoOut+x)*laneBytes + l*4
					if g.Bias != 0 {
						v += lanes(g.Bias)[l]
					}
					if g.R != 0 {
						v += *float(at(g.R, off))
					}
					*float(at(g.Dst, off)) = clamp(v, g.Lo, g.Hi, g.Flags)
				}
			}
		}
	}
}
