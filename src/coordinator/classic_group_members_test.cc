// What becomes of members: syncs, sessions, leaving, static membership.
#include <gtest/gtest.h>

#include "coordinator/classic_group.h"
#include "coordinator/classic_group_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;

TEST(ClassicGroupMembers, SyncThatComesTwiceAnswersTheFirst) {
  // Whom the leader forgets gets nothing.
  expect_trace(kCompletingPair, R"(
sync b1 m=b-2 g=2
sync b2 m=b-2 g=2
  b1 <- sync REBALANCE_IN_PROGRESS
sync a m=a-1 g=2 a=b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x= b-2:x=p1
  a <- sync NONE consumer/range assignment=
  b2 <- sync NONE consumer/range assignment=p1
  = Stable 2
)");
}

// The session begins anew with each sync, also with one that is answered in a stable group.
TEST(ClassicGroupMembers, SyncRenewsTheSession) {
  expect_trace(kStablePair, R"(
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat a m=a-1 g=2
  a <- beat NONE
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
+9000
beat a m=a-1 g=2
  a <- beat NONE
beat b m=b-2 g=2
  b <- beat NONE
)");
}

// A follower may wait for its leader longer than its session: it is heard from when it is answered.
TEST(ClassicGroupMembers, TheLeadersSyncRenewsThoseWhoWait) {
  expect_trace(kCompletingPair, R"(
sync b m=b-2 g=2
+9000
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1009000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  b <- sync NONE consumer/range assignment=p1
  = Stable 2
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
)");
}

// Nothing but the phase itself ends these: all sessions are longer.
TEST(ClassicGroupMembers, ThePhasesEndByThemselves) {
  expect_trace(R"(
limits delay=0
join a session=300000 rebalance=20000
join b session=300000 rebalance=20000
join a m=a-1 session=300000 rebalance=20000
)",
               R"(
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
+20000
  @20000
  = PreparingRebalance 2
join a m=a-1 session=300000 rebalance=20000
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 3
join c session=300000 rebalance=20000
  = PreparingRebalance 3
+20000
  @40000
  c <- join NONE member=c-3 gen=4 consumer/range leader=c-3 c-3:x
  = CompletingRebalance 4
)");
}

TEST(ClassicGroupMembers, SyncIsChecked) {
  expect_trace(kCompletingPair, R"(
sync b m=b-2 g=1
  b <- sync ILLEGAL_GENERATION
sync b m=b-2 g=3
  b <- sync ILLEGAL_GENERATION
sync b m=b-2 g=2 type=connect
  b <- sync INCONSISTENT_GROUP_PROTOCOL
sync b m=b-2 g=2 type=consumer protocol=sticky
  b <- sync INCONSISTENT_GROUP_PROTOCOL
sync b m=b-2 g=2 type=consumer protocol=range i=B
  b <- sync UNKNOWN_MEMBER_ID
sync a m=a-1 g=2 type=consumer protocol=range a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2 type=consumer protocol=range
  b <- sync NONE consumer/range assignment=p1
join c
  = PreparingRebalance 2
sync b m=b-2 g=2
  b <- sync REBALANCE_IN_PROGRESS
)");
}

TEST(ClassicGroupMembers, MembersThatDoNotSyncAreDroppedAfterTheRebalanceTimeout) {
  // b sends heartbeats, but never asks for its assignment.
  expect_trace(kCompletingPair, R"(
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+9000
beat b m=b-2 g=2
  b <- beat NONE
beat a m=a-1 g=2
  a <- beat NONE
+6000
  @60000
  = PreparingRebalance 2
beat b m=b-2 g=2
  b <- beat UNKNOWN_MEMBER_ID
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
)");
}

TEST(ClassicGroupMembers, LeaderThatDoesNotSyncIsDroppedAndTheNextOneLeads) {
  // b waits longer than its session: who waits does not expire.
  expect_trace("limits delay=0", R"(
join a session=100000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=a-1 session=100000
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
  = CompletingRebalance 2
sync b m=b-2 g=2
+60000
  @60000
  b <- sync REBALANCE_IN_PROGRESS
  = PreparingRebalance 2
join b m=b-2
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupMembers, HeartbeatTellsTheState) {
  expect_trace("limits delay=0", R"(
join a v=4
  a <- join MEMBER_ID_REQUIRED member=a-1
beat a m=a-1 g=0
  a <- beat UNKNOWN_MEMBER_ID
join a v=4 m=a-1
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
beat a m=a-1 g=1
  a <- beat NONE
beat a m=a-1 g=0
  a <- beat ILLEGAL_GENERATION
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
beat a m=a-1 g=1
  a <- beat NONE
beat a m=a-1 g=2
  a <- beat ILLEGAL_GENERATION
join b
  = PreparingRebalance 1
beat a m=a-1 g=1
  a <- beat REBALANCE_IN_PROGRESS
remove
  record tombstone
  b <- join UNKNOWN_MEMBER_ID member=b-2
  = Dead 1
beat a m=a-1 g=1
  a <- beat COORDINATOR_NOT_AVAILABLE
)");
}

TEST(ClassicGroupMembers, HeartbeatsRenewTheSession) {
  expect_trace("limits delay=0", R"(
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
+9999
beat a m=a-1 g=1
  a <- beat NONE
+9999
+1
  @19999
  record gen=2 consumer/null leader=null since=1019999
  = Empty 2
)");
}

TEST(ClassicGroupMembers, HeartbeatsDoNotShortenTheWaitOfANewMember) {
  // It joined at 0, and again at 1000: its time is up at 20000 all the same, not at 11000.
  expect_trace("", R"(
limits delay=0 new=20000
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=a-1
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
  = CompletingRebalance 2
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join c
  = PreparingRebalance 2
+1000
join c m=c-3
  c <- join REBALANCE_IN_PROGRESS member=c-3
beat c m=c-3 g=2
  c <- beat REBALANCE_IN_PROGRESS
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9999
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
+1
  @20000
  c <- join UNKNOWN_MEMBER_ID member=
)");
}

TEST(ClassicGroupMembers, CommitsRenewTheSessionToo) {
  expect_trace("limits delay=0", R"(
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
+9999
commit m=a-1 g=1
  commit NONE
+9999
+1
  @19999
  record gen=2 consumer/null leader=null since=1019999
  = Empty 2
)");
}

TEST(ClassicGroupMembers, SilentMemberExpiresAndTheOthersJoinAgain) {
  // a leads and falls silent.
  expect_trace(kStablePair, R"(
+5000
beat b m=b-2 g=2
  b <- beat NONE
+5000
  @10000
  = PreparingRebalance 2
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
join b m=b-2
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 3
+10000
  @20000
  record gen=4 consumer/null leader=null since=1020000
  = Empty 4
)");
}

TEST(ClassicGroupMembers, SessionThatIsShorterThanBeforeCounts) {
  expect_trace("limits delay=0", R"(
join a session=1000000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=
  a <- sync NONE consumer/range assignment=
  = Stable 1
+70000
join a m=a-1 session=6000
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 2
sync a m=a-1 g=2
  record gen=2 consumer/range leader=a-1 since=1070000 a-1:x=
  a <- sync NONE consumer/range assignment=
  = Stable 2
+6000
  @76000
  record gen=3 consumer/null leader=null since=1076000
  = Empty 3
)");
}

TEST(ClassicGroupMembers, SyncingRenewsTheSession) {
  expect_trace("limits delay=0", R"(
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
+9000
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1009000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
+9999
+1
  @19000
  record gen=2 consumer/null leader=null since=1019000
  = Empty 2
)");
}

TEST(ClassicGroupMembers, NewMemberIsNotWaitedForWithoutEnd) {
  // c waits beyond its session of 10000, but not beyond 20000.
  expect_trace("", R"(
limits delay=0 new=20000
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=a-1
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
  = CompletingRebalance 2
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join c
  = PreparingRebalance 2
+5000
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+5000
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+5000
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+5000
  @20000
  c <- join UNKNOWN_MEMBER_ID member=
beat a m=a-1 g=2
  a <- beat REBALANCE_IN_PROGRESS
)");
}

TEST(ClassicGroupMembers, NewMemberOfARunningGroupExpiresByItsSessionOnceItHasJoined) {
  expect_trace("", R"(
limits delay=0 new=300000
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
+10000
  @10000
  record gen=2 consumer/null leader=null since=1010000
  = Empty 2
)");
}

TEST(ClassicGroupMembers, NewMemberExpiresInTheFirstDelayToo) {
  expect_trace("", R"(
limits delay=30000 new=20000
join a
  = PreparingRebalance 0
+20000
  @20000
  a <- join UNKNOWN_MEMBER_ID member=
+10000
  @30000
  record gen=1 consumer/null leader=null since=1030000
  = Empty 1
)");
}

TEST(ClassicGroupMembers, MembersThatJoinAgainDoNotExpireWhileTheyWait) {
  // a is silent for 14999, its session is 10000.
  expect_trace("", R"(
limits delay=0 new=300000
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=a-1
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
  = CompletingRebalance 2
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join a m=a-1
  = PreparingRebalance 2
+5000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9999
join b m=b-2
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupMembers, LeavingBeginsARebalance) {
  // A group that everybody left is recorded.
  expect_trace(kStablePair, R"(
leave b m=b-2
  b <- leave NONE
  = PreparingRebalance 2
join a m=a-1
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 3
leave a m=a-1
  record gen=4 consumer/null leader=null since=1000000
  a <- leave NONE
  = Empty 4
check_delete
  NONE
)");
}

TEST(ClassicGroupMembers, LeavingWhileJoiningCompletesThePhase) {
  expect_trace(kStablePair, R"(
join a m=a-1
  = PreparingRebalance 2
leave b m=b-2
  b <- leave NONE
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupMembers, LeavingAnswersWhatWaits) {
  // A join that waits, and a sync that waits.
  expect_trace(kStablePair, R"(
join a1 m=a-1
  = PreparingRebalance 2
leave x m=a-1
  a1 <- join UNKNOWN_MEMBER_ID member=
  x <- leave NONE
join b m=b-2
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 3
join c
  = PreparingRebalance 3
join b m=b-2
  b <- join NONE member=b-2 gen=4 consumer/range leader=b-2 b-2:x c-3:x
  c <- join NONE member=c-3 gen=4 consumer/range leader=b-2
  = CompletingRebalance 4
sync c m=c-3 g=4
leave y m=c-3
  c <- sync UNKNOWN_MEMBER_ID
  y <- leave NONE
  = PreparingRebalance 4
)");
}

TEST(ClassicGroupMembers, LeavingOfAnIdThatWasGivenOutCompletesThePhase) {
  expect_trace(kStablePair, R"(
join c v=4
  c <- join MEMBER_ID_REQUIRED member=c-3
join a m=a-1
  = PreparingRebalance 2
join b m=b-2
leave c m=c-3
  c <- leave NONE
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupMembers, LeavingInTheFirstRebalanceDoesNotShortenTheDelay) {
  expect_trace("", R"(
join a
  = PreparingRebalance 0
join b v=4
  b <- join MEMBER_ID_REQUIRED member=b-2
leave b m=b-2
  b <- leave NONE
+3000
  @3000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
)");
}

TEST(ClassicGroupMembers, BatchLeaveTellsEachItsError) {
  // Another's instance, no name at all, no such instance; unknown, an administrator's way, an id
  // that was given out, a member, and the same once more.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b i=B
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x B-2/B:x
  b <- join NONE member=B-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
join c v=4
  c <- join MEMBER_ID_REQUIRED member=c-3
leave x members=A-1/B,,/C
  x <- leave NONE A-1/B:FENCED_INSTANCE_ID :UNKNOWN_MEMBER_ID /C:UNKNOWN_MEMBER_ID
leave x members=nobody,/B,c-3,A-1/A,A-1
  record gen=3 consumer/null leader=null since=1000000
  x <- leave NONE nobody:UNKNOWN_MEMBER_ID /B:NONE c-3:NONE A-1/A:NONE A-1:UNKNOWN_MEMBER_ID
  = Empty 3
)");
}

TEST(ClassicGroupMembers, StaticMembersThatAreAllAwayAreWaitedForAgain) {
  // Nobody joined at 60000: the phase goes on until the session ends it at 130000.
  expect_trace("limits delay=0", R"(
join a i=A session=130000
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
join b
  = PreparingRebalance 1
leave x m=b-2
  b <- join UNKNOWN_MEMBER_ID member=
  x <- leave NONE
+60000
+59999
+10001
  @130000
  record gen=2 consumer/null leader=null since=1130000
  = Empty 2
)");
}

TEST(ClassicGroupMembers, StaticMemberComesBackUnderANewId) {
  // It led: an old client is not told that it leads still, so that it asks for its assignment and
  // makes none.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,b-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join a2 i=A v=5
  record gen=2 consumer/range leader=A-3 since=1000000 A-3/A:x=p0 b-2:x=p1
  a2 <- join NONE member=A-3 gen=2 consumer/range leader=A-1
sync a2 m=A-3 i=A g=2
  a2 <- sync NONE consumer/range assignment=p0
beat a m=A-1 i=A g=2
  a <- beat FENCED_INSTANCE_ID
sync a m=A-1 i=A g=2
  a <- sync FENCED_INSTANCE_ID
join a m=A-1 i=A
  a <- join FENCED_INSTANCE_ID member=A-1
commit m=A-1 i=A g=2
  commit FENCED_INSTANCE_ID
leave a members=A-1/A
  a <- leave NONE A-1/A:FENCED_INSTANCE_ID
beat a m=A-1 g=2
  a <- beat UNKNOWN_MEMBER_ID
beat a2 m=A-3 i=A g=2
  a2 <- beat NONE
)");
}

TEST(ClassicGroupMembers, StaticMemberThatChangesTheProtocolBeginsARebalance) {
  expect_trace("limits delay=0", R"(
join a i=A p=range:1,sticky:2
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:1
  = CompletingRebalance 1
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:1=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
join a i=A p=sticky:2,range:1
  a <- join NONE member=A-2 gen=2 consumer/sticky leader=A-2 A-2/A:2
  = CompletingRebalance 2
)");
}

TEST(ClassicGroupMembers, StaticMemberThatComesBackFencesWhatWaits) {
  // First a join, in preparing_rebalance.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,b-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join a1 m=A-1 i=A
  = PreparingRebalance 2
join a2 i=A
  a1 <- join FENCED_INSTANCE_ID member=A-1
join b m=b-2
  a2 <- join NONE member=A-3 gen=3 consumer/range leader=A-3 A-3/A:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=A-3
  = CompletingRebalance 3
sync a2 m=A-3 i=A g=3 a=A-3:p0,b-2:p1
  record gen=3 consumer/range leader=A-3 since=1000000 A-3/A:x=p0 b-2:x=p1
  a2 <- sync NONE consumer/range assignment=p0
  = Stable 3
join c
  = PreparingRebalance 3
join a2 m=A-3 i=A
join b m=b-2
  a2 <- join NONE member=A-3 gen=4 consumer/range leader=A-3 A-3/A:x b-2:x c-4:x
  b <- join NONE member=b-2 gen=4 consumer/range leader=A-3
  c <- join NONE member=c-4 gen=4 consumer/range leader=A-3
  = CompletingRebalance 4
sync b m=b-2 g=4
join b2 i=B
  b <- sync REBALANCE_IN_PROGRESS
  = PreparingRebalance 4
)");
}

TEST(ClassicGroupMembers, StaticMemberThatComesBackInCompletingRebalanceBeginsAnother) {
  // The leader may have assigned to the old id. The old one's sync is fenced.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b i=B
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x B-2/B:x
  b <- join NONE member=B-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync b m=B-2 i=B g=2
join b2 i=B
  b <- sync FENCED_INSTANCE_ID
  = PreparingRebalance 2
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=3 consumer/range leader=A-1 A-1/A:x B-3/B:x
  b2 <- join NONE member=B-3 gen=3 consumer/range leader=A-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupMembers, StaticMemberComesBackToAFullGroup) {
  expect_trace("", R"(
limits delay=0 max=1
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
join a2 i=A
  record gen=1 consumer/range leader=A-2 since=1000000 A-2/A:x=p0
  a2 <- join NONE member=A-2 gen=1 consumer/range leader=A-1
join b i=B
  b <- join GROUP_MAX_SIZE_REACHED member=
)");
}

TEST(ClassicGroupMembers, StaticMemberThatIsAwayKeepsItsPlace) {
  // In the generation that it missed it is assigned to, and finds that when it is back.
  expect_trace("limits delay=0", R"(
join a i=A session=100000
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b session=100000
  = PreparingRebalance 1
join a m=A-1 i=A session=100000
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,b-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join b m=b-2 session=100000 p=range:y
  = PreparingRebalance 2
+60000
  @60000
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 A-1/A:x b-2:y
  = CompletingRebalance 3
sync b m=b-2 g=3 a=A-1:p0,b-2:p1
  record gen=3 consumer/range leader=b-2 since=1060000 A-1/A:x=p0 b-2:y=p1
  b <- sync NONE consumer/range assignment=p1
  = Stable 3
join a2 i=A session=100000
  record gen=3 consumer/range leader=b-2 since=1060000 A-3/A:x=p0 b-2:y=p1
  a2 <- join NONE member=A-3 gen=3 consumer/range leader=b-2
sync a2 m=A-3 i=A g=3
  a2 <- sync NONE consumer/range assignment=p0
+60000
beat b m=b-2 g=3
  b <- beat NONE
)");
}

TEST(ClassicGroupMembers, StaticMemberThatStaysAwayIsDroppedWithItsSyncPhase) {
  // It owes a sync like everybody else.
  expect_trace("limits delay=0", R"(
join a i=A session=100000
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b session=100000
  = PreparingRebalance 1
join a m=A-1 i=A session=100000
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,b-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join b m=b-2 session=100000 p=range:y
  = PreparingRebalance 2
+60000
  @60000
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 A-1/A:x b-2:y
  = CompletingRebalance 3
sync b m=b-2 g=3 a=A-1:p0,b-2:p1
  record gen=3 consumer/range leader=b-2 since=1060000 A-1/A:x=p0 b-2:y=p1
  b <- sync NONE consumer/range assignment=p1
  = Stable 3
+60000
  @120000
  = PreparingRebalance 3
join b m=b-2 session=100000 p=range:y
  b <- join NONE member=b-2 gen=4 consumer/range leader=b-2 b-2:y
  = CompletingRebalance 4
)");
}

TEST(ClassicGroupMembers, StaticMemberThatComesBackHasANewSession) {
  // And is shown where it is now.
  expect_trace("limits delay=0", R"(
join a i=A client=old
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
describe
  Stable consumer/range
  A-1/A old/127.0.0.1 x=p0
+9000
join a2 i=A client=new
  record gen=1 consumer/range leader=A-2 since=1000000 A-2/A:x=p0
  a2 <- join NONE member=A-2 gen=1 consumer/range leader=A-1
describe
  Stable consumer/range
  A-2/A new/127.0.0.1 x=p0
+9999
+1
  @19000
  record gen=2 consumer/null leader=null since=1019000
  = Empty 2
)");
}

TEST(ClassicGroupMembers, StaticMemberThatComesBackIsNotNew) {
  // Its wait is that of a member that joins again.
  expect_trace("", R"(
limits delay=0 new=20000
join a session=100000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
join b i=B
  = PreparingRebalance 1
join b2 i=B
  b <- join FENCED_INSTANCE_ID member=B-2
+20000
join a m=a-1 session=100000
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x B-3/B:x
  b2 <- join NONE member=B-3 gen=2 consumer/range leader=a-1
  = CompletingRebalance 2
)");
}

TEST(ClassicGroupMembers, StaticLeaderComesBackAndSkipsTheAssignment) {
  // KIP-814: who can be told to skip is told that it leads, and everything.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b i=B
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x B-2/B:x
  b <- join NONE member=B-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,B-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 B-2/B:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=B-2 g=2
  b <- sync NONE consumer/range assignment=p1
join b2 i=B v=9
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 B-3/B:x=p1
  b2 <- join NONE member=B-3 gen=2 consumer/range leader=A-1
join a2 i=A v=9
  record gen=2 consumer/range leader=A-4 since=1000000 A-4/A:x=p0 B-3/B:x=p1
  a2 <- join NONE member=A-4 gen=2 consumer/range leader=A-4 skip A-4/A:x B-3/B:x
sync a2 m=A-4 i=A g=2
  a2 <- sync NONE consumer/range assignment=p0
)");
}

TEST(ClassicGroupMembers, OneOfTheAbsentStaticMembersComesBackAndLeads) {
  // At 60000 nobody has joined; at 120000 one has.
  expect_trace("limits delay=0", R"(
join a i=A session=200000
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b i=B session=200000
  = PreparingRebalance 1
join a m=A-1 i=A session=200000
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x B-2/B:x
  b <- join NONE member=B-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,B-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 B-2/B:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=B-2 g=2
  b <- sync NONE consumer/range assignment=p1
join c
  = PreparingRebalance 2
leave x m=c-3
  c <- join UNKNOWN_MEMBER_ID member=
  x <- leave NONE
+60000
+1000
join b2 i=B
+58999
+1
  @120000
  b2 <- join NONE member=B-4 gen=3 consumer/range leader=B-4 A-1/A:x B-4/B:x
  = CompletingRebalance 3
)");
}

}  // namespace
}  // namespace ottla::coordinator
