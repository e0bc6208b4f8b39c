#include "tpm/condition.hpp"

#include "tpm/esys.hpp"

namespace tpm {
namespace {

Result<std::uint32_t> variable_value(Device& device, TPM2_PT wanted) {
  TPMI_YES_NO more = 0;
  const auto data = TRY(answer<TPMS_CAPABILITY_DATA>(Step::other, [&](TPMS_CAPABILITY_DATA** out) {
    return Esys_GetCapability(device.context().esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, wanted, 1, &more, out);
  }));
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  if (list.count == 0 || list.tpmProperty[0].property != wanted) return base::fail(base::Errc::tpm, "the TPM does not tell how its lockout is");
  return std::uint32_t{list.tpmProperty[0].value};
}

}  // namespace

Result<Condition> condition(Device& device) {
  Condition now;
  now.in_lockout = (TRY(variable_value(device, TPM2_PT_PERMANENT)) & TPMA_PERMANENT_INLOCKOUT) != 0;
  now.failed_tries = TRY(variable_value(device, TPM2_PT_LOCKOUT_COUNTER));
  now.most_tries = TRY(variable_value(device, TPM2_PT_MAX_AUTH_FAIL));
  now.forgives_after = TRY(variable_value(device, TPM2_PT_LOCKOUT_INTERVAL));
  const auto time = TRY(answer<TPMS_TIME_INFO>(Step::other, [&](TPMS_TIME_INFO** out) {
    return Esys_ReadClock(device.context().esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
  }));
  now.clock_ms = time->clockInfo.clock;
  return now;
}

}  // namespace tpm
