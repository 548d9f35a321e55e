module github.com/cardea/cardea/devicelink/uhppote/simulator

go 1.26.0

tool github.com/uhppoted/uhppote-simulator/cmd/uhppote-simulator

require (
	github.com/uhppoted/uhppote-core v0.9.0 // indirect
	github.com/uhppoted/uhppote-simulator v0.9.0 // indirect
	github.com/uhppoted/uhppoted-lib v0.9.0 // indirect
)
