package onnxtest

// The numbers of the fields that are used, by message, from onnx.proto3.
const (
	modelIR, modelProducer, modelGraph, modelOpset                       = 1, 2, 7, 8
	graphNode, graphName, graphInit, graphInput, graphOutput             = 1, 2, 5, 11, 12
	nodeIn, nodeOut, nodeName, nodeOp, nodeAttr                          = 1, 2, 3, 4, 5
	attrName, attrF, attrI, attrInts, attrType                           = 1, 2, 3, 8, 20
	tensorDims, tensorType, tensorName                                   = 1, 2, 8
	tensorRaw, tensorExternal, tensorLocation                            = 9, 13, 14
	valueName, valueType, typeTensor, tensorElem, tensorShape            = 1, 2, 1, 1, 2
	shapeDim, dimValue, dimParam, pairKey, pairValue, opsetVersion       = 1, 1, 2, 1, 2, 2
	irVersion                                                            = 8 // goes with operator set 17
	attrFloat, attrInt, attrIntList                                int64 = 1, 2, 7
)
