package sql

// writes are the statements of transactions, prepared once.
var writes = []string{
	selectHead, updateHead, insertStream, insertRecord, selectPosition, insertOutbox,
	selectPlace, insertReceipt, deleteOutbox, updateProven,
	insertErasure, eraseRecord, eraseReceipt, eraseTicket, setDestroyed, endErasure,
	insertTicket, beginUse, endUse, closeTicket,
	insertUpload, selectIncident, selectIsSealed, sealUpload, checkUpload, breakUpload, deleteUpload, insertChunk, cutChunks, deleteChunks,
	leaveFrom, leaveOther, leaveLost, deleteLost, deleteLeftovers,
	insertStamp,
}

// reads are the statements outside of transactions, prepared once.
var reads = []string{
	selectUnproven, selectByPayload, selectRecords, selectProven, selectOpened, selectOpening, selectStream,
	selectErasures, selectPart, isDestroyed, selectLengths, countRecords,
	selectTickets, selectUpload, selectSealed, selectChunks, selectHolders, selectSharing, selectAny, selectOpen, selectLeftovers,
	selectStamps, selectFirstStamp, selectLastStamp, selectNextStamp, selectStampers,
}
