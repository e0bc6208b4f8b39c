// The one promise of custody that no TPM keeps for us (docs/threat-model.md, section 6).
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "crypto/digest.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

// Every digest that the receipt says was signed stood on the screen before anybody typed a PIN; and files that change after
// they were shown are noticed, not signed.
TEST(Promises10, WhatIsSignedIsWhatWasOnTheScreenAndNothingThatCameLater) {
  const TempDir folder;
  ApplianceRig rig(folder / "rig");
  rig.provision();
  rig.start_daemon();
  const std::vector<TestOfficer> two = {ApplianceRig::officers()[0], ApplianceRig::officers()[1]};
  const ForgedRequest shown(rig, COLDSEAL_SAMPLE_DIR, folder / "host-1");
  shown.into_inbox();
  rig.wait_for_journal(shown.id(), "waits for the officers");
  std::string screen;
  {
    const auto console = rig.open_request(shown.id());
    screen = console->screen();
    console->type("b");
  }
  rig.approve(shown.id(), two);
  rig.wait_for_response(shown.id());
  // Independently of our verification: the digests in the receipt's payload.
  const std::string receipt = run_well({"python3", "-c",
                                        "import json,base64,sys\n"
                                        "p=json.loads(base64.b64decode(json.load(open(sys.argv[1]))['payload']))\n"
                                        "def walk(v):\n"
                                        "  if isinstance(v,dict):\n"
                                        "    if 'slot' in v and 'digest' in v: print(v['digest'] if isinstance(v['digest'],str) else v['digest']['sha256'])\n"
                                        "    for x in v.values(): walk(x)\n"
                                        "  elif isinstance(v,list):\n"
                                        "    for x in v: walk(x)\n"
                                        "walk(p)\n",
                                        rig.outbox(shown.id()) / "receipt.dsse.json"});
  std::istringstream digests(receipt);
  int seen = 0;
  for (std::string digest; std::getline(digests, digest); ++seen) {
    EXPECT_EQ(digest.size(), std::string_view("sha256:").size() + 64) << digest;
    EXPECT_NE(screen.find(digest), std::string::npos) << digest << " was signed and not shown";
  }
  EXPECT_GE(seen, 2);
  // The same again, but somebody changes a file on the box after it was shown.
  const ForgedRequest changed(rig, COLDSEAL_SAMPLE_DIR, folder / "host-2");
  changed.into_inbox();
  rig.wait_for_journal(changed.id(), "waits for the officers");
  { const auto console = rig.open_request(changed.id()); }
  for (const auto& entry : fs::recursive_directory_iterator(rig.state() / "spool" / changed.id() / "files")) {
    if (entry.path().extension() != ".sys") continue;
    base::Bytes bytes = read_file(entry.path());
    bytes.back() ^= 1;
    write_file(entry.path(), bytes);
  }
  AtTerminal console({program("coldseal-console"), "--root", rig.root()});
  console.expect("number to read a request");
  console.type("1");
  console.expect("not done: ");
  console.type("");
  console.expect("number to read a request");
  console.type("q");
  EXPECT_FALSE(fs::exists(rig.outbox(changed.id())));
}

}  // namespace
}  // namespace tests
