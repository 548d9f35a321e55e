package schema

// ModeCause is why a mode is in force at a door.
type ModeCause string

// The causes, the weakest first.
const (
	ModeCauseStanding ModeCause = "STANDING" // the door's own mode, with nothing over it
	ModeCauseSchedule ModeCause = "SCHEDULE" // its unlock schedule
	ModeCauseOverride ModeCause = "OVERRIDE" // somebody's, for a time
	ModeCauseLockdown ModeCause = "LOCKDOWN"
)

// Values lists them for Ent.
func (ModeCause) Values() []string {
	return []string{
		string(ModeCauseStanding), string(ModeCauseSchedule), string(ModeCauseOverride),
		string(ModeCauseLockdown),
	}
}
