// What an officer reads before approving, worded in one place. Everything from outside is made printable here.
#pragma once

#include "appliance/console_protocol.hpp"
#include "appliance/key_store.hpp"
#include "appliance/request_book.hpp"
#include "appliance/signing_plan.hpp"
#include "appliance/spooled_request.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/transparency/signing_set.hpp"

namespace appliance {

Document review_of(const RequestRecord& record, const SpooledRequest& spooled, const package::Inspection& inspection,
                   const KeyClass& key_class, const crypto::SigningIdentity& identity, const SignatureForm& form,
                   const transparency::SigningSet& set, const std::vector<SigningPlan::CatalogSummary>& catalogs);

// The first line of every screen.
std::string banner_of(const std::string& appliance_name, attest::Mode mode, const std::string& tpm_kind);

std::string_view severity_name(package::Severity severity);

}  // namespace appliance
