package schema

// Reason says why: the stable code of a decision or of a command's end. Codes are public API.
type Reason string

// The reason codes.
const (
	ReasonGranted               Reason = "GRANTED"
	ReasonGrantedUnlockedMode   Reason = "GRANTED_UNLOCKED_MODE"
	ReasonGrantedRemote         Reason = "GRANTED_REMOTE"
	ReasonGrantedOverride       Reason = "GRANTED_OVERRIDE"
	ReasonUnknownCredential     Reason = "UNKNOWN_CREDENTIAL"
	ReasonFacilityMismatch      Reason = "FACILITY_MISMATCH"
	ReasonBadFormat             Reason = "BAD_FORMAT"
	ReasonInvalidPIN            Reason = "INVALID_PIN"
	ReasonTooManyAttempts       Reason = "TOO_MANY_ATTEMPTS"
	ReasonCredentialSuspended   Reason = "CREDENTIAL_SUSPENDED"
	ReasonCredentialRevoked     Reason = "CREDENTIAL_REVOKED"
	ReasonKeySuspended          Reason = "KEY_SUSPENDED"
	ReasonKeyRevoked            Reason = "KEY_REVOKED"
	ReasonKeyUsedUp             Reason = "KEY_USED_UP"
	ReasonNotYetValid           Reason = "NOT_YET_VALID"
	ReasonExpired               Reason = "EXPIRED"
	ReasonUserSuspended         Reason = "USER_SUSPENDED"
	ReasonNoGrant               Reason = "NO_GRANT"
	ReasonOutsideSchedule       Reason = "OUTSIDE_SCHEDULE"
	ReasonHoliday               Reason = "HOLIDAY"
	ReasonFirstPersonPending    Reason = "FIRST_PERSON_PENDING"
	ReasonLockdown              Reason = "LOCKDOWN"
	ReasonDoorDisabled          Reason = "DOOR_DISABLED"
	ReasonDoorLocked            Reason = "DOOR_LOCKED"
	ReasonAntiPassback          Reason = "ANTI_PASSBACK"
	ReasonOccupancyLimit        Reason = "OCCUPANCY_LIMIT"
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
	ReasonGranted,
	ReasonGrantedUnlockedMode,
	ReasonGrantedRemote,
	ReasonGrantedOverride,
	ReasonUnknownCredential,
	ReasonFacilityMismatch,
	ReasonBadFormat,
	ReasonInvalidPIN,
	ReasonTooManyAttempts,
	ReasonCredentialSuspended,
	ReasonCredentialRevoked,
	ReasonKeySuspended,
	ReasonKeyRevoked,
	ReasonKeyUsedUp,
	ReasonNotYetValid,
	ReasonExpired,
	ReasonUserSuspended,
	ReasonNoGrant,
	ReasonOutsideSchedule,
	ReasonHoliday,
	ReasonFirstPersonPending,
	ReasonLockdown,
	ReasonDoorDisabled,
	ReasonDoorLocked,
	ReasonAntiPassback,
	ReasonOccupancyLimit,
	ReasonRemoteDisabled,
	ReasonDeviceOffline,
	ReasonDeviceBusy,
	ReasonJammed,
	ReasonBoltObstructed,
	ReasonNotConfirmed,
	ReasonExpiredBeforeDelivery,
	ReasonHardwareFault,
	ReasonUnsupported,
}

// Values lists them for Ent.
func (Reason) Values() []string {
	values := make([]string, len(Reasons))
	for i, r := range Reasons {
		values[i] = string(r)
	}
	return values
}
