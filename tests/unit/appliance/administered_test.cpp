#include "appliance/administered.hpp"

#include "appliance/submitters.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using transparency::AuditEvent;

transparency::AuditLine admin_line(std::map<std::string, std::string> data, std::string_view at, AuditEvent event = AuditEvent::administration) {
  return {.index = 0, .previous = crypto::sha256({}), .at = must(base::time_from_rfc3339(at)), .event = event, .request = {}, .data = std::move(data)};
}

const std::string kKey(64, 'a');

TEST(Administered, ARevokedKeyStaysRevokedWhateverIsWrittenLater) {
  Administered log;
  Enrolment enrolment{"build-1", kKey, "ada", must(base::time_from_rfc3339("2027-01-01T00:00:00Z")), {}, {}};
  must(log.apply(admin_line(Administered::line_of(enrolment), "2026-01-01T00:00:00Z")));
  ASSERT_NE(log.enrolment(kKey), nullptr);
  EXPECT_EQ(log.enrolment(kKey)->person, "ada");
  EXPECT_EQ(log.enrolment(kKey)->expires, enrolment.expires);
  EXPECT_FALSE(log.enrolment(kKey)->revoked);
  Enrolment revoked = enrolment;
  revoked.revoked = base::Time{};
  revoked.reason = "stolen";
  must(log.apply(admin_line(Administered::line_of(revoked), "2026-02-01T00:00:00Z")));
  enrolment.expires.reset();
  must(log.apply(admin_line(Administered::line_of(enrolment), "2026-03-01T00:00:00Z")));
  EXPECT_EQ(log.enrolment(kKey)->revoked, must(base::time_from_rfc3339("2026-02-01T00:00:00Z")));
  EXPECT_EQ(log.enrolment(kKey)->reason, "stolen");
}

TEST(Administered, LinesThatSomebodyElseWroteAreNotHeeded) {
  Administered log;
  Enrolment enrolment{"build-1", kKey, {}, {}, base::Time{}, "no"};
  must(log.apply(admin_line(Administered::line_of(enrolment), "2026-01-01T00:00:00Z", AuditEvent::recovered)));
  EXPECT_EQ(log.enrolment(kKey), nullptr);
  expect_error(log.apply(admin_line({{"submitter-key", kKey}, {"expires", "soon"}}, "2026-01-01T00:00:00Z")), Errc::malformed, "line 1");
}

TEST(Administered, KeepsTheNewestRevocationListOfEachAuthority) {
  Administered log;
  const ImportedList first{"aa", "0a", must(base::time_from_rfc3339("2026-01-01T00:00:00Z")), "d1"};
  ImportedList second = first;
  second.number = "0b";
  must(log.apply(admin_line(Administered::line_of(first, "CN=Root"), "2026-01-02T00:00:00Z")));
  must(log.apply(admin_line(Administered::line_of(second, "CN=Root"), "2026-01-03T00:00:00Z")));
  ASSERT_NE(log.list_of("aa"), nullptr);
  EXPECT_EQ(log.list_of("aa")->number, "0b");
  EXPECT_EQ(log.list_of("bb"), nullptr);
}

TEST(Submitter, IsGoodUntilExpiryOrRevocationAndIsNoOfficer) {
  keys::SubmitterKey key = keys::SubmitterKey::generate();
  Submitter submitter{"build-1", must(crypto::PublicKey::parse(key.public_key_der())), {}, {}, {}, {}};
  const base::Time now = must(base::time_from_rfc3339("2026-11-23T16:20:00Z"));
  const tpm::Quorum quorum{2, {{"ada", 1}, {"ben", 2}}};
  must(submitter.expect_usable(now));
  must(submitter.expect_no_officer(quorum));
  submitter.expires = now;
  expect_error(submitter.expect_usable(now), Errc::refused, "submitter.expired");
  submitter.expires = now + std::chrono::seconds(1);
  must(submitter.expect_usable(now));
  submitter.revoked = now;
  submitter.revocation_reason = "stolen";
  expect_error(submitter.expect_usable(now), Errc::refused, "submitter.revoked: the key of submitter build-1 was revoked at 2026-11-23T16:20:00Z: stolen");
  submitter.person = "ben";
  expect_error(submitter.expect_no_officer(quorum), Errc::refused, "submitter.is-officer");
  submitter.person.clear();
  submitter.name = "ada";
  expect_error(submitter.expect_no_officer(quorum), Errc::refused, "submitter.is-officer");
}

}  // namespace
}  // namespace appliance
