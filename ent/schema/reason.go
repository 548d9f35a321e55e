package schema

// Reason says why: the stable code of a decision or of a command's end. Codes are public API.
type Reason string

// The reason codes.
const (
	ReasonGranted               Reason = "GRANTED"
	ReasonGrantedUnlockedMode   Reason = "GRANTED_UNLOCKED_MODE"
	ReasonGrantedRemote         Reason = "GRANTED_REMOTE"
	ReasonUnknownCredential     Reason = "UNKNOWN_CREDENTIAL"
	ReasonNotYetValid           Reason = "NOT_YET_VALID"
	ReasonExpired               Reason = "EXPIRED"
	ReasonKeyRevoked            Reason = "CREDENTIAL_REVOKED"
	ReasonUserSuspended         Reason = "USER_SUSPENDED"
	ReasonNoGrant               Reason = "NO_GRANT"
	ReasonOutsideSchedule       Reason = "OUTSIDE_SCHEDULE"
	ReasonLockdown              Reason = "LOCKDOWN"
	ReasonDoorDisabled          Reason = "DOOR_DISABLED"
	ReasonRemoteDisabled        Reason = "REMOTE_DISABLED"
	ReasonDeviceOffline         Reason = "DEVICE_OFFLINE"
	ReasonDeviceBusy            Reason = "DEVICE_BUSY"
	ReasonJammed                Reason = "JAMMED"
	ReasonBoltObstructed        Reason = "BOLT_OBSTRUCTED"
	ReasonNotConfirmed          Reason = "NOT_CONFIRMED"
	ReasonExpiredBeforeDelivery Reason = "EXPIRED_BEFORE_DELIVERY"
	ReasonHardwareFault         Reason = "HARDWARE_FAULT"
	ReasonUnsupported           Reason = "UNSUPPORTED"
)

// Reasons lists every reason code.
var Reasons = []Reason{
	ReasonGranted, ReasonGrantedUnlockedMode, ReasonGrantedRemote, ReasonUnknownCredential,
	ReasonNotYetValid, ReasonExpired, ReasonKeyRevoked, ReasonUserSuspended, ReasonNoGrant,
	ReasonOutsideSchedule, ReasonLockdown, ReasonDoorDisabled, ReasonRemoteDisabled,
	ReasonDeviceOffline, ReasonDeviceBusy, ReasonJammed, ReasonBoltObstructed, ReasonNotConfirmed,
	ReasonExpiredBeforeDelivery, ReasonHardwareFault, ReasonUnsupported,
}

// Values lists them for Ent.
func (Reason) Values() []string {
	values := make([]string, len(Reasons))
	for i, r := range Reasons {
		values[i] = string(r)
	}
	return values
}
