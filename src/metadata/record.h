// The records of the metadata log, and their frame: unsigned varints for frame version, record type
// and record version, then the message (KIP-631). A type or version that this build does not know
// must stop the reader: skipping it would make its image differ from everybody else's.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "wire/messages/abort_transaction_record.h"
#include "wire/messages/access_control_entry_record.h"
#include "wire/messages/begin_transaction_record.h"
#include "wire/messages/broker_registration_change_record.h"
#include "wire/messages/clear_elr_record.h"
#include "wire/messages/client_quota_record.h"
#include "wire/messages/config_record.h"
#include "wire/messages/delegation_token_record.h"
#include "wire/messages/end_transaction_record.h"
#include "wire/messages/feature_level_record.h"
#include "wire/messages/fence_broker_record.h"
#include "wire/messages/no_op_record.h"
#include "wire/messages/partition_change_record.h"
#include "wire/messages/partition_record.h"
#include "wire/messages/producer_ids_record.h"
#include "wire/messages/register_broker_record.h"
#include "wire/messages/register_controller_record.h"
#include "wire/messages/remove_access_control_entry_record.h"
#include "wire/messages/remove_delegation_token_record.h"
#include "wire/messages/remove_topic_record.h"
#include "wire/messages/remove_user_scram_credential_record.h"
#include "wire/messages/topic_record.h"
#include "wire/messages/unfence_broker_record.h"
#include "wire/messages/unregister_broker_record.h"
#include "wire/messages/user_scram_credential_record.h"
#include "wire/messages/zk_migration_state_record.h"

namespace ottla::metadata {

using Record = std::variant<
    wire::RegisterBrokerRecord, wire::UnregisterBrokerRecord, wire::TopicRecord,
    wire::PartitionRecord, wire::ConfigRecord, wire::PartitionChangeRecord, wire::FenceBrokerRecord,
    wire::UnfenceBrokerRecord, wire::RemoveTopicRecord, wire::DelegationTokenRecord,
    wire::UserScramCredentialRecord, wire::FeatureLevelRecord, wire::ClientQuotaRecord,
    wire::ProducerIdsRecord, wire::BrokerRegistrationChangeRecord, wire::AccessControlEntryRecord,
    wire::RemoveAccessControlEntryRecord, wire::NoOpRecord, wire::ZkMigrationStateRecord,
    wire::RemoveUserScramCredentialRecord, wire::BeginTransactionRecord, wire::EndTransactionRecord,
    wire::AbortTransactionRecord, wire::RemoveDelegationTokenRecord, wire::RegisterControllerRecord,
    wire::ClearElrRecord>;

// As the value of a log record. The version is the one that metadata.version 30 (Kafka 4.3) writes.
Bytes encode_record(const Record& record);

// The error names what is not known, for people.
std::expected<Record, std::string> decode_record(const Slice& value);

// "TopicRecord"
std::string_view record_name(const Record& record);

}  // namespace ottla::metadata
