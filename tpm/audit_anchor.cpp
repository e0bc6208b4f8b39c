#include "tpm/audit_anchor.hpp"

#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

// An index that was never written has another Name.
Result<NvIndex> open_either(Context& context, const attest::NvPublic& area) {
  Result<NvIndex> index = NvIndex::open(context, area);
  if (index || index.error().code() != base::Errc::refused) return index;
  return NvIndex::open(context, attest::unwritten(area));
}

}  // namespace

Result<void> AuditAnchor::extend(const crypto::Digest& line) {
  Context& context = device_->context();
  const NvIndex index = TRY(base::within("AUDIT_EXT", open_either(context, firmware_->map().audit_extend())));
  const Loaded session = TRY(policy_session(context));
  const TPM2B_MAX_NV_BUFFER data = to_nv_buffer(line.bytes());
  return firmware_->pass(session, [&]() -> Result<void> {
    TRY(policy_command(context, session, attest::CommandCode::nv_extend));
    return base::within("AUDIT_EXT", check(Esys_NV_Extend(context.esys(), index.handle(), index.handle(), session.handle(), kNone,
                                                          kNone, &data),
                                           Step::nv));
  });
}

Result<void> AuditAnchor::increment() {
  Context& context = device_->context();
  const NvIndex index = TRY(base::within("AUDIT_CNT", open_either(context, firmware_->map().audit_count())));
  const Loaded session = TRY(policy_session(context));
  return firmware_->pass(session, [&]() -> Result<void> {
    TRY(policy_command(context, session, attest::CommandCode::nv_increment));
    return base::within("AUDIT_CNT", check(Esys_NV_Increment(context.esys(), index.handle(), index.handle(), session.handle(), kNone,
                                                             kNone),
                                           Step::nv));
  });
}

Result<void> AuditAnchor::begin() {
  Context& context = device_->context();
  if (!NvIndex::open(context, firmware_->map().audit_extend()))
    TRY(extend(crypto::sha256(base::as_bytes("the audit log begins"))));
  if (!NvIndex::open(context, firmware_->map().audit_count())) TRY(increment());
  return {};
}

Result<AnchorState> AuditAnchor::state() const {
  Context& context = device_->context();
  const Bytes extended = TRY(base::within("AUDIT_EXT", read_index(context, firmware_->map().audit_extend())));
  const Bytes count = TRY(base::within("AUDIT_CNT", read_index(context, firmware_->map().audit_count())));
  return attest::parse_anchor(count, extended);
}

Result<AnchorBaseline> AuditAnchor::baseline() const {
  const Bytes bytes = TRY(base::within("BASELINE", read_index(device_->context(), attest::baseline_index())));
  return attest::parse_baseline(bytes);
}

}  // namespace tpm
