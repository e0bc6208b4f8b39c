#pragma once

#include "crypto/attest/names.hpp"

namespace tests {

// A PIN_FAIL index without a policy: what another calculator was given whose digests the tests hold.
inline attest::NvPublic plain_index(std::uint32_t index) {
  using namespace attest;
  return {index, nv::kPinFail | nv::kOwnerWrite | nv::kOwnerRead | nv::kAuthRead | nv::kNoDictionaryAttack | nv::kWritten, {}, 8};
}

}  // namespace tests
